// Package wadmapi answers wadm's NATS API (`wadm.api.<lattice>.model.*`) from the Application API, so that wash works on
// the very objects that kubectl shows. It keeps nothing itself: every answer comes from applications and their revisions
// through the interfaces of interface.go, every change is a write of an application.
//
// How wadm's world maps to applications:
//
//   - The spec of an application is the last manifest that was put; each version is a revision; the order of versions is
//     the order of the revisions' creation.
//   - What is deployed: the pin of a Kubernetes user (annotation deployed-version), else what wash deployed (annotation
//     wash-deployed-version), else the latest. A put never deploys: it writes down what was deployed before it.
//   - Versions that wash deleted stay as revisions, where Kubernetes users see history, and are hidden from wash
//     (annotation wash-deleted-versions).
package wadmapi
