package wadmapi

import (
	"context"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

func (s *Server) deploy(ctx context.Context, name string, body []byte) any {
	var request versionRequest
	if err := readBody(body, &request); err != nil {
		return failure("deploy", fmt.Sprintf(textParseDeploy, err))
	}
	reply, err := retry(func() (any, error) { return s.deployOnce(ctx, name, request.Version) })
	switch {
	case apierrors.IsNotFound(err):
		return deployReply{Result: resultNotFound, Message: fmt.Sprintf(textAppNotFound, name), Name: name, Version: request.Version}
	case apierrors.IsConflict(err):
		err = text(textBusy, name)
	}
	if err != nil {
		return say(ctx, "deploy", err)
	}
	return reply
}

func (s *Server) deployOnce(ctx context.Context, name string, version *string) (any, error) {
	f, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := refusePinned(f.app); err != nil {
		return nil, err
	}
	revision := f.latest()
	if version != nil && *version != manifest.LatestVersion {
		revision = f.version(*version)
	}
	if revision == nil {
		asked := manifest.LatestVersion
		if version != nil {
			asked = *version
		}
		return deployReply{Result: resultError, Message: fmt.Sprintf(textDeployNoVersion, name, asked), Name: name, Version: version}, nil
	}
	missing, err := s.missingShared(ctx, name, &revision.Spec)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		return nil, text(textDeployShared, quoted(missing))
	}
	if err := s.refuseUsed(ctx, f.app, runningVersion(revision)); err != nil {
		return nil, err
	}
	if err := s.change(ctx, f.app, func(app *oam.Application) { setDeployed(app, revision.Version) }); err != nil {
		return nil, s.explainInvalid(ctx, name, &revision.Spec, err)
	}
	reply := deployReply{
		Result: resultAcknowledged, Message: fmt.Sprintf(textDeployed, name, revision.Version), Name: name, Version: &revision.Version,
	}
	if err := s.published(revision); err != nil {
		reply.Result, reply.Message = resultError, textDeployNotify
	}
	return reply, nil
}

func (s *Server) undeploy(ctx context.Context, name string, body []byte) any {
	if err := readBody(body, &struct{}{}); err != nil {
		return failure("undeploy", fmt.Sprintf(textParseUndeploy, err))
	}
	reply, err := retry(func() (any, error) { return s.undeployOnce(ctx, name) })
	switch {
	case apierrors.IsNotFound(err):
		return deployReply{Result: resultNotFound, Message: fmt.Sprintf(textAppNotFound, name), Name: name}
	case apierrors.IsConflict(err):
		err = text(textBusy, name)
	}
	if err != nil {
		return say(ctx, "undeploy", err)
	}
	return reply
}

func (s *Server) undeployOnce(ctx context.Context, name string) (any, error) {
	app, err := s.config.Applications.FindApplication(ctx, s.config.Lattice, name)
	if err != nil {
		return nil, err
	}
	if err := refusePinned(app); err != nil {
		return nil, err
	}
	reply := deployReply{Result: resultAcknowledged, Message: fmt.Sprintf(textWasUndeployed, name), Name: name}
	if deployed(app).version != "" {
		if err := s.refuseUsed(ctx, app, nil); err != nil {
			return nil, err
		}
		if err := s.change(ctx, app, setUndeployed); err != nil {
			return nil, err
		}
		reply.Message = fmt.Sprintf(textUndeployed, name)
	}
	if err := s.unpublished(name); err != nil {
		reply.Result, reply.Message = resultError, textUndeployNotify
	}
	return reply, nil
}

// refusePinned says no while a Kubernetes user decides what is deployed.
func refusePinned(app *oam.Application) error {
	pin := app.Annotations[oam.DeployedVersionAnnotation]
	if pin == "" {
		return nil
	}
	key := oam.DeployedVersionAnnotation
	return text(textPinned, app.Name, key, pin, app.Name, app.Namespace, key)
}

// change writes an application with changed annotations, if they did change.
func (s *Server) change(ctx context.Context, app *oam.Application, edit func(*oam.Application)) error {
	edited := app.DeepCopy()
	edit(edited)
	if maps.Equal(app.Annotations, edited.Annotations) {
		return nil
	}
	_, err := s.config.Applications.UpdateApplication(ctx, s.config.Lattice, edited)
	return err
}
