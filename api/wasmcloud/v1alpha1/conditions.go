package v1alpha1

// Condition types of a host group, the most basic first. Ready, Reconciling and Stalled summarise them.
const (
	// ConditionValid says whether the spec can be carried out.
	ConditionValid = "Valid"
	// ConditionCredentials says whether the hosts have what they need to log in to NATS and to registries.
	ConditionCredentials = "Credentials"
	// ConditionWorkload says whether the pods run.
	ConditionWorkload = "Workload"
	// ConditionHosts says whether the hosts of the pods show up in their lattice.
	ConditionHosts = "Hosts"
	// ConditionOrphanedWorkload exists, and is true, while a Deployment or DaemonSet that wasmCloud's operator left behind
	// runs beside that of the group. It does not count for Ready.
	ConditionOrphanedWorkload = "OrphanedWorkload"
	// ConditionTemplateOutdated exists, and is true, while the pods still have the template of wasmCloud's operator. It
	// does not count for Ready.
	ConditionTemplateOutdated = "TemplateOutdated"
)

// Reasons of ConditionValid.
const (
	ReasonValid = "Valid"
	// ReasonInvalidLattice: the lattice name is not one NATS token.
	ReasonInvalidLattice = "InvalidLattice"
	// ReasonLatticeNotPermitted: the lattice belongs to the NATS of the chart, which does not list this namespace.
	ReasonLatticeNotPermitted = "LatticeNotPermitted"
	// ReasonInvalidSpec: a field has a value that no host could run with.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonInvalidTemplate: the additions to the pod or container template can't be merged.
	ReasonInvalidTemplate = "InvalidTemplate"
	// ReasonNameTaken: an object of the name that the group needs belongs to someone else.
	ReasonNameTaken = "NameTaken"
	// ReasonRefused: the Kubernetes API refused an object of the group.
	ReasonRefused = "Refused"
)

// Reasons of ConditionCredentials.
const (
	ReasonCredentialsReady = "CredentialsReady"
	// ReasonOwnCredentials: hosts log in with a Secret of the user, whose rights in NATS Trellis does not decide.
	ReasonOwnCredentials = "OwnCredentials"
	// ReasonNoCredentials: no Secret is named and the address is not that of the chart, so hosts log in without any.
	ReasonNoCredentials = "NoCredentials"
	// ReasonSecretNotFound: a Secret or ConfigMap that the spec names does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretIncomplete: a Secret lacks the key that is needed.
	ReasonSecretIncomplete = "SecretIncomplete"
	// ReasonNoIssuer: the operator has no key for the lattice, so it can't make credentials.
	ReasonNoIssuer = "NoIssuer"
)

// Reasons of ConditionWorkload.
const (
	ReasonPodsReady = "PodsReady"
	// ReasonRollingOut: pods are being made or replaced.
	ReasonRollingOut = "RollingOut"
	// ReasonScaledToZero: the group is meant to have no pods.
	ReasonScaledToZero = "ScaledToZero"
	// ReasonImagePull: an image can't be pulled.
	ReasonImagePull = "ImagePull"
	// ReasonCrashLoop: a container ends again and again.
	ReasonCrashLoop = "CrashLoop"
	// ReasonLeafNotConnected: the leaf runs, but does not reach JetStream in the hub.
	ReasonLeafNotConnected = "LeafNotConnected"
	// ReasonUnschedulable: no node takes the pod.
	ReasonUnschedulable = "Unschedulable"
	// ReasonPodsRefused: the Deployment or DaemonSet may not make pods (quota, Pod Security, webhook).
	ReasonPodsRefused = "PodsRefused"
)

// Reasons of ConditionHosts.
const (
	ReasonHostsConnected = "HostsConnected"
	// ReasonHostsMissing: pods are ready whose hosts have not been seen in the lattice.
	ReasonHostsMissing = "HostsMissing"
	// ReasonHostsSilent: hosts do not answer in the lattice: their leaves have lost the hub.
	ReasonHostsSilent = "HostsSilent"
	// ReasonLatticeNotObserved: the operator itself has no view of the lattice.
	ReasonLatticeNotObserved = "LatticeNotObserved"
	// ReasonLoginRefused: NATS refuses the login that the operator and the hosts of the group have.
	ReasonLoginRefused = "LoginRefused"
)
