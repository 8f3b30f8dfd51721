package wadmapi

// Messages of wadm 0.21, as on the wire. wash looks for `already exists`.
const (
	textParsePut      = "Unable to parse manifest: %s"
	textParseGet      = "Unable to parse get application request: %s"
	textParseDelete   = "Unable to parse delete application request: %s"
	textParseDeploy   = "Unable to parse deploy application request: %s"
	textParseUndeploy = "Unable to parse undeploy application request: %s"

	textStorage = "Internal storage error"
	textHistory = "Model deployment history is not currently supported. It may be added in a future version"

	textLatest        = `invalid manifest version, errors: "latest is not allowed in wadm"`
	textName          = "Manifest name %s contains invalid characters. Manifest names can only contain alphanumeric characters, dashes, and underscores."
	textVersionExists = "Manifest version %s already exists"
	textPut           = "Successfully put manifest %s %s"
	textPutShared     = "%s, but some shared components are not deployed: %s"

	textGotVersion   = "Successfully fetched application %s %s"
	textGot          = "Successfully fetched application %s"
	textAppNotFound  = "Application with the name %s not found"
	textNoVersion    = "Application %s with version %s doesn't exist"
	textGotList      = "Successfully fetched list of applications"
	textGotVersions  = "Successfully fetched versions for application %s"
	textGotStatus    = "Successfully fetched status for application %s"
	textWaiting      = "Waiting for status: Lattice contains no hosts, deployment not started."
	textIsUndeployed = "Manifest has been undeployed"

	textDeleteNoApp     = "Application %s doesn't exist or was already deleted"
	textDeleteNoVersion = "Application version %s doesn't exist"
	textDeletedVersion  = "Successfully deleted version %s of application %s"
	textDeletedLast     = "Successfully deleted last version of application %s"
	textDeleted         = "Successfully deleted application %s"
	textDeleteStorage   = "Internal storage error when deleting application %s"
	textDeleteVersionKV = "Internal storage error when deleting %s of application %s"
	textDeleteNotify    = "Error notifying processors of newly undeployed manifest on delete. This is likely a transient error, so please retry the request. Please note that the response will say it is a noop, but will notify the processors"

	textDeployed        = "Successfully deployed application %s %s"
	textDeployNoVersion = "Application with the name '%s' does not have a version '%s' to deploy"
	textDeployShared    = "Application contains shared components that are not deployed in other applications: %s"
	textIDTaken         = "Component identifier '%s' is already deployed in a different application '%s'."
	textDeployNotify    = "Error notifying processors of newly deployed manifest. This is likely a transient error, so please retry the request"
	textUndeployed      = "Successfully undeployed application %s"
	textWasUndeployed   = "Application %s was already undeployed"
	textUndeployNotify  = "Error notifying processors of undeployed manifest. This is likely a transient error, so please retry the request"
)

// Messages that wadm has no case for.
const (
	textPinned = "Application %s is deployed by Kubernetes: its annotation %s is %q. " +
		"To let wash deploy it, remove the annotation: kubectl annotate application %s -n %s %s-"
	textUsed         = "Application %s shares components that other deployed applications use: %s. Undeploy them first"
	textOtherLattice = "The manifest names lattice %s by its label %s but was put to lattice %s"
	textBusy         = "Application %s was changed by others at the same time, or its name is taken in the home namespace by an application of another lattice; please retry the request"
	textOverload     = "Too many requests wait for Trellis; please retry the request"
	textTooLarge     = "The answer is larger than the NATS server allows"
	textComma        = "Version %s of application %s cannot be deleted alone because its name contains a comma; delete the application instead"
)
