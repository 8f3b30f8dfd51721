package lattice

import (
	"fmt"
	"strings"
)

// Texts of host replies, exactly as on the wire. Those marked (success) come with success.
const (
	MessageUnsupportedSubject = "unsupported subject"

	MessageBadComponentAuction = "failed to deserialize component auction command"
	MessageBadProviderAuction  = "failed to deserialize provider auction command"
	MessageBadComponentScale   = "failed to deserialize component scale command"
	MessageBadComponentUpdate  = "failed to deserialize component update command"
	MessageBadComponentRefresh = "failed to deserialize component refresh command"
	MessageBadProviderStart    = "failed to deserialize provider start command"
	MessageBadProviderStop     = "failed to deserialize provider stop command"
	MessageBadHostStop         = "failed to deserialize stop command"
	MessageBadLabelPut         = "failed to deserialize put label request"
	MessageBadLabelDelete      = "failed to deserialize delete label request"
	MessageBadLink             = "failed to deserialize wrpc link definition"
	MessageBadRegistries       = "failed to deserialize registries put command"
	MessageBadConfig           = "config data should be a map of string -> string"

	MessageConfigNotStored  = "unable to store config data"
	MessageConfigNotDeleted = "Unable to delete config data"
	MessageReservedLabel    = "hostcore.* labels cannot be set dynamically"
	MessageProviderRunning  = "provider with that ID is already running"
	MessageProviderAbsent   = "provider with that ID is not running"
	MessageLinkConflict     = "link already exists with different target, consider deleting the existing link or using a different link name"

	// (success)
	MessageStopping        = "successfully handled stop host"
	MessageLabelPut        = "successfully put label"
	MessageLabelDeleted    = "successfully deleted label"
	MessageLabelAbsent     = "successfully deleted label (no such label)"
	MessageProviderStarted = "successfully started provider"
	MessageProviderStopped = "successfully stopped provider"
	MessageLinkPut         = "successfully set link"
	MessageLinkDeleted     = "successfully deleted link"
	MessageLinkSpecAbsent  = "successfully deleted link (spec doesn't exist)"
	MessageConfigPut       = "successfully put config"
	MessageConfigDeleted   = "successfully deleted config"
	MessageConfigNotFound  = "Configuration not found"
	MessageRefreshing      = "successfully took the request to fetch secrets"
	MessageRegistriesPut   = "successfully put registries"

	// noticeOtherRef begins the (success) answers of scale commands that name another image than the one that runs.
	noticeOtherRef    = "Requested to scale existing component"
	noticeOtherRefEnd = "The component will be scaled but the image reference will not be updated. If you meant to update this component to a new image ref, use the update command."
	noticeUpdateAfter = "The component will be scaled, and the image reference will be updated afterwards."

	missingConfigStart  = "Failed to validate configuration and secrets. "
	missingConfigFormat = "Configuration %s not found in config store. "
	missingSecretFormat = "Secret reference %s not found in config store. "

	// ReasonFailedConfig is part of failure events when a named configuration is missing.
	ReasonFailedConfig = "Unable to fetch requested config"
	// ReasonFailedSecrets begins the reason in failure events when a secret cannot be had.
	ReasonFailedSecrets = "Unable to fetch requested secrets"
)

// MessageWrongHost is the answer to a stop that names another host.
func MessageWrongHost(id string) string { return fmt.Sprintf("invalid host_id [%s]", id) }

// MessageComponentAbsent is the answer to an update of a component that does not run on the host.
func MessageComponentAbsent(id string) string { return fmt.Sprintf("component %s not found", id) }

// MessageAlreadyUpdated is the (success) answer to an update to the image that runs.
func MessageAlreadyUpdated(id, ref string) string {
	return fmt.Sprintf("component %s already updated to %s", id, ref)
}

// MessageUpdating is the (success) answer to an update.
func MessageUpdating(id, from, to string) string {
	return fmt.Sprintf("component %s updating from %s to %s", id, from, to)
}

// MessageOtherRef is the (success) answer to a scale command that names another image than the one that runs.
func MessageOtherRef(running, requested string, allowUpdate bool) string {
	if allowUpdate {
		return fmt.Sprintf("%s, with a changed image reference: %s != %s. %s",
			noticeOtherRef, running, requested, noticeUpdateAfter)
	}
	return fmt.Sprintf("%s to a different image reference: %s != %s. %s",
		noticeOtherRef, running, requested, noticeOtherRefEnd)
}

// IsOtherRef recognises the notice of MessageOtherRef: the host runs another image under that id.
func IsOtherRef(message string) bool { return strings.HasPrefix(message, noticeOtherRef) }

// MessageMissingConfig is the answer to a link put whose named configurations do not all exist.
func MessageMissingConfig(missing []string) string {
	var b strings.Builder
	b.WriteString(missingConfigStart)
	for _, name := range missing {
		format := missingConfigFormat
		if IsSecret(name) {
			format = missingSecretFormat
		}
		fmt.Fprintf(&b, format, name)
	}
	return b.String()
}

// IsMissingConfig recognises MessageMissingConfig.
func IsMissingConfig(message string) bool {
	return strings.HasPrefix(message, strings.TrimSpace(missingConfigStart))
}
