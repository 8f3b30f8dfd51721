package v1beta1

// Names that users, wash and other programs depend on.
const (
	// GroupName is the API group of OAM.
	GroupName = "core.oam.dev"
	// Version is the served version of the group.
	Version = "v1beta1"

	// LatticeLabel chooses the lattice of an application. V1's annotation of the same name is read as well.
	LatticeLabel = "k8s.wasmcloud.dev/lattice"
	// VersionAnnotation names the version of the spec (wadm's rule: any text but `latest`).
	VersionAnnotation = "version"
	// DescriptionAnnotation is shown by `wash app list`.
	DescriptionAnnotation = "description"
	// DeployedVersionAnnotation pins the version that runs, or says `none`. It belongs to Kubernetes users: Trellis
	// never sets, moves or removes it.
	DeployedVersionAnnotation = "k8s.wasmcloud.dev/deployed-version"
	// WashDeployedVersionAnnotation is what wash deployed, or `none`. Only the wadm API writes it; a change of the spec
	// from Kubernetes drops it.
	WashDeployedVersionAnnotation = "k8s.wasmcloud.dev/wash-deployed-version"
	// WashDeletedVersionsAnnotation lists, with commas, the versions that wash deleted while others remained. Only the
	// wadm API writes it: a put of such a version makes it anew. A change of the spec from Kubernetes drops it.
	WashDeletedVersionsAnnotation = "k8s.wasmcloud.dev/wash-deleted-versions"
	// WashUndeployedAnnotation is "true" after wash undeployed: it tells an application that was taken down from one that
	// was never deployed. Only the wadm API writes it; a change of the spec from Kubernetes drops it.
	WashUndeployedAnnotation = "k8s.wasmcloud.dev/wash-undeployed"
	// NamespaceUIDAnnotation is the UID of the namespace the object was made in, so that what a lost namespace left
	// behind is found.
	NamespaceUIDAnnotation = "k8s.wasmcloud.dev/namespace-uid"
	// WadmImportAnnotation is on applications that were taken over from wadm: WadmImportRunning while their versions are
	// being written, which keeps them out of every lattice, WadmImportDone ever after. Only Trellis writes it.
	WadmImportAnnotation = "k8s.wasmcloud.dev/wadm-import"
	// WadmImportRunning is a value of WadmImportAnnotation.
	WadmImportRunning = "running"
	// WadmImportDone is a value of WadmImportAnnotation.
	WadmImportDone = "done"
	// SecretsReviewedAnnotation says that whoever wrote the spec was reviewed for the Secrets that it references by the
	// backend of this name. Only Trellis writes it; revisions have it among their manifestAnnotations.
	SecretsReviewedAnnotation = "k8s.wasmcloud.dev/secrets-reviewed"
	// DeployedNone is the value of a deployed-version annotation that means: nothing runs.
	DeployedNone = "none"

	// ConditionReady summarises all others.
	ConditionReady = "Ready"
	// ConditionReconciling is true while the lattice is being changed (kstatus).
	ConditionReconciling = "Reconciling"
	// ConditionStalled is true when only a user can help (kstatus).
	ConditionStalled = "Stalled"
	// ConditionLatticeResolved says whether a lattice was found for the application.
	ConditionLatticeResolved = "LatticeResolved"
	// ConditionImported is on applications that were taken over from wadm. Its message says what could not be brought
	// along, and what newer rules would refuse.
	ConditionImported = "Imported"
	// ConditionWadmRunning is true while a wadm still serves the application's lattice: Trellis changes nothing there.
	ConditionWadmRunning = "WadmRunning"
	// ConditionDeployed says whether the deployed version took effect.
	ConditionDeployed = "Deployed"
)
