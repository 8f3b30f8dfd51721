package apiserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/oklog/ulid/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/utils/clock"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// attempt is what one request keeps while it is tried again after lost races.
type attempt struct {
	generated     string // version, so that a second try does not leave a revision of the first behind
	wroteRevision bool
	// stored returns the UID of the application as it is stored, empty when there is none; nil when this is an update.
	stored func(ctx context.Context) (types.UID, error)
}

// versionNamer generates versions that sort by time.
type versionNamer struct {
	clock clock.PassiveClock

	mu      sync.Mutex
	entropy io.Reader
}

func newVersionNamer(c clock.PassiveClock, random io.Reader) *versionNamer {
	return &versionNamer{clock: c, entropy: ulid.Monotonic(random, 0)}
}

func (n *versionNamer) next() (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id, err := ulid.New(ulid.Timestamp(n.clock.Now()), n.entropy)
	if err != nil {
		return "", fmt.Errorf("generate a version: %w", err)
	}
	return id.String(), nil
}

// hashLength of a digest makes `<version>-<hash>`.
const hashLength = 8

// settleVersion names the version of the spec in status. isNew says that a revision must be written for it.
func (l *lifecycle) settleVersion(ctx context.Context, once *attempt, old, app *v1beta1.Application, digest string) (isNew bool, err error) {
	named := app.Annotations[v1beta1.VersionAnnotation]
	if old != nil {
		app.Status.Version = old.Status.Version
		same := sameSpec(&old.Spec, &app.Spec)
		// Without a name of its own, or with the old one, the same content stays what it was called.
		if same && old.Status.Version != "" && (named == "" || named == old.Annotations[v1beta1.VersionAnnotation]) {
			return false, nil
		}
	}
	if named == "" {
		if once.generated == "" {
			if once.generated, err = l.versions.next(); err != nil {
				return false, err
			}
		}
		app.Status.Version = once.generated
		return true, nil
	}
	app.Status.Version, isNew, err = l.explicitVersion(ctx, old, app, named, digest)
	return isNew, err
}

// explicitVersion decides what a spec is called whose user named it: as the user says if the name is free or means this
// very content; else wash gets wadm's error, and kubectl `<version>-<hash>` with a warning.
func (l *lifecycle) explicitVersion(ctx context.Context, old, app *v1beta1.Application, named, digest string) (string, bool, error) {
	found, err := l.revisions.get(ctx, app, named)
	switch {
	case errors.Is(err, errNoRevision):
		return named, true, nil
	case err != nil:
		return "", false, err
	case isWash(ctx) && deletedByWash(old, named):
		l.revisions.remove(ctx, found)
		return named, true, nil
	case isWash(ctx):
		return "", false, versionExists(app.Name, named)
	case found.Digest == digest:
		return named, false, nil
	}
	derived, isNew, err := l.derivedVersion(ctx, app, named, digest)
	if err == nil {
		warning.AddWarning(ctx, "", fmt.Sprintf(
			"version %q exists with other content; stored as %q. Change annotation %q with each change of the spec, or remove it.",
			named, derived, v1beta1.VersionAnnotation))
	}
	return derived, isNew, err
}

// derivedVersion is `<version>-<hash>`, with more of the hash while somebody has used the shorter name for other content.
func (l *lifecycle) derivedVersion(ctx context.Context, app *v1beta1.Application, named, digest string) (string, bool, error) {
	for length := hashLength; length <= len(digest); length *= 2 {
		derived := named + "-" + digest[:length]
		switch found, err := l.revisions.get(ctx, app, derived); {
		case errors.Is(err, errNoRevision):
			return derived, true, nil
		case err != nil:
			return "", false, err
		case found.Digest == digest:
			return derived, false, nil
		}
	}
	return "", false, apierrors.NewConflict(v1beta1.Resource(applications), app.Name,
		fmt.Errorf("every name derived from version %q is taken by other content; choose another version", named))
}

// deletedByWash says whether wash deleted a version while others remained. Its revision is kept until the version is put
// again: a revision has no owner but the application.
func deletedByWash(old *v1beta1.Application, version string) bool {
	return old != nil && slices.Contains(strings.Split(old.Annotations[v1beta1.WashDeletedVersionsAnnotation], ","), version)
}

// versionExists is wadm's answer to a put of a version that is there, whatever its content.
func versionExists(name, version string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusConflict, Reason: metav1.StatusReasonAlreadyExists,
		Message: fmt.Sprintf("Manifest version %s already exists", version),
		Details: &metav1.StatusDetails{Group: v1beta1.GroupName, Kind: applicationRevisions, Name: revisionName(name, version)},
	}}
}
