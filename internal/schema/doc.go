// Package schema writes the kinds of Trellis as JSON Schemas, for programs that check manifests without a cluster
// (kubeconform, editors). They are made of what the API server itself publishes, and made stricter where the server's
// validation is: an unknown field, a wrong shape of a trait, a missing image fail before anything is applied. What no
// JSON Schema can say (a link to nobody, two components of one name) is left to the server.
package schema
