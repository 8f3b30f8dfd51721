package wadmapi

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// maxAttempts bounds how often a write is tried again after others changed the application in between.
const maxAttempts = 5

var nameForm = regexp.MustCompile(`^[-A-Za-z0-9_]+$`)

func (s *Server) put(ctx context.Context, in *oam.Application) any {
	if in.Annotations[oam.VersionAnnotation] == manifest.LatestVersion {
		return failure("put", textLatest)
	}
	name := strings.TrimSpace(in.Name)
	if !nameForm.MatchString(name) {
		return failure("put", fmt.Sprintf(textName, in.Name))
	}
	reply, err := retry(func() (any, error) {
		reply, err := s.putOnce(ctx, name, in)
		if apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) && !isVersionExists(err) {
			err = apierrors.NewConflict(oam.Resource("applications"), name, err) // it was deleted, or made, in between
		}
		return reply, err
	})
	if apierrors.IsConflict(err) {
		err = text(textBusy, name)
	}
	if err != nil {
		return say(ctx, "put", err)
	}
	return reply
}

// isVersionExists recognises the API's own refusal of a version that is there: a faster put of the same version.
func isVersionExists(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Details != nil &&
		status.Status().Details.Kind == "applicationrevisions"
}

// retry runs a read-and-write again while others write in between.
func retry[T any](once func() (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		v, err := once()
		if attempt == maxAttempts || !apierrors.IsConflict(err) {
			return v, err
		}
	}
}

func (s *Server) putOnce(ctx context.Context, name string, in *oam.Application) (any, error) {
	f, err := s.find(ctx, name)
	if apierrors.IsNotFound(err) {
		f, err = &family{}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := manifest.ValidateWadm(in); err != nil {
		return nil, message(err.Error())
	}
	if named := in.Labels[oam.LatticeLabel]; named != "" && named != s.config.Lattice {
		return nil, text(textOtherLattice, named, oam.LatticeLabel, s.config.Lattice)
	}
	if v, ok := in.Annotations[oam.VersionAnnotation]; ok && f.version(v) != nil {
		return nil, text(textVersionExists, v)
	}
	missing, err := s.missingShared(ctx, name, &in.Spec)
	if err != nil {
		return nil, err
	}
	stored, err := s.store(ctx, name, in, f)
	if err != nil {
		return nil, s.explainInvalid(ctx, name, &in.Spec, err)
	}
	return s.putAnswer(ctx, stored, f, missing)
}

// store creates or updates the application. It never deploys: what was deployed before stays, by name.
func (s *Server) store(ctx context.Context, name string, in *oam.Application, f *family) (*oam.Application, error) {
	if f.app == nil {
		home, err := s.config.Homes.HomeNamespace(ctx, s.config.Lattice)
		if err != nil {
			return nil, err
		}
		app := &oam.Application{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Namespace: home,
				Annotations: manifestPart(in.Annotations), Labels: manifestPart(in.Labels),
			},
			Spec: in.Spec,
		}
		app.Labels[oam.LatticeLabel] = s.config.Lattice
		annotate(app, oam.WashDeployedVersionAnnotation, oam.DeployedNone)
		return s.config.Applications.CreateApplication(ctx, s.config.Lattice, app)
	}
	app := f.app.DeepCopy()
	before := deployed(app)
	app.Annotations = replaceManifestPart(app.Annotations, in.Annotations)
	app.Labels = replaceManifestPart(app.Labels, in.Labels)
	app.Spec = in.Spec
	if app.Annotations[oam.WashDeployedVersionAnnotation] == "" {
		annotate(app, oam.WashDeployedVersionAnnotation, before.record())
	}
	setHidden(app, slices.DeleteFunc(hidden(app), func(v string) bool {
		return v == in.Annotations[oam.VersionAnnotation]
	}), f.revisions)
	return s.config.Applications.UpdateApplication(ctx, s.config.Lattice, app)
}

func (s *Server) putAnswer(ctx context.Context, stored *oam.Application, before *family, missing []string) (any, error) {
	after, err := s.withVersions(ctx, stored)
	if err != nil {
		return nil, err
	}
	reply := putReply{
		Result: resultNewVersion, TotalVersions: len(after.visible), CurrentVersion: stored.Status.Version,
		Message: fmt.Sprintf(textPut, stored.Name, before.latestName()), Name: stored.Name,
	}
	if reply.CurrentVersion == "" {
		reply.CurrentVersion = after.latestName()
	}
	if len(after.visible) <= 1 && len(before.visible) == 0 {
		reply.Result = resultCreated
	}
	if len(missing) > 0 {
		reply.Message = fmt.Sprintf(textPutShared, reply.Message, quoted(missing))
	}
	return reply, nil
}
