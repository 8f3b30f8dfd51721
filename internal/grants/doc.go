// Package grants decides who may read which Kubernetes Secret by way of a lattice, and reads it: nobody, unless a deployed
// application names the Secret, the host that asks has to do with that application, and one of three holds. The Secret is
// in the application's own namespace and the API server let in only users who may read it; or the policy names a
// ServiceAccount that may read it now; or a SecretGrant beside the Secret says so.
//
// What a request says of itself proves nothing. The asker is known by the subject; all else is compared with what is
// deployed.
package grants
