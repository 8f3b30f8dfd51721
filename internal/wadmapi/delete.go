package wadmapi

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

func (s *Server) delete(ctx context.Context, name string, body []byte) any {
	var request versionRequest
	if err := readBody(body, &request); err != nil {
		return failure("del", fmt.Sprintf(textParseDelete, err))
	}
	reply, err := retry(func() (deleteReply, error) {
		if request.Version == nil {
			return s.deleteAll(ctx, name)
		}
		return s.deleteVersion(ctx, name, *request.Version)
	})
	switch {
	case apierrors.IsNotFound(err):
		// wadm tells its listeners in this case too: it makes a failed notification repeatable.
		return s.tellDeleted(name, true, deleteReply{Result: resultNoop, Message: fmt.Sprintf(textDeleteNoApp, name)})
	case apierrors.IsConflict(err):
		err = text(textBusy, name)
	}
	if err != nil {
		fallback := fmt.Sprintf(textDeleteStorage, name)
		if request.Version != nil {
			fallback = fmt.Sprintf(textDeleteVersionKV, *request.Version, name)
		}
		return deleteReply{Result: resultError, Message: userText(ctx, err, fallback)}
	}
	return s.tellDeleted(name, reply.Undeploy, reply)
}

// tellDeleted publishes that the application no longer runs, where that is so.
func (s *Server) tellDeleted(name string, tell bool, reply deleteReply) deleteReply {
	if !tell {
		return reply
	}
	if err := s.unpublished(name); err != nil {
		return deleteReply{Result: resultError, Message: textDeleteNotify}
	}
	return reply
}

func (s *Server) deleteAll(ctx context.Context, name string) (deleteReply, error) {
	app, err := s.config.Applications.FindApplication(ctx, s.config.Lattice, name)
	if err != nil {
		return deleteReply{}, err
	}
	if err := s.remove(ctx, app); err != nil {
		return deleteReply{}, err
	}
	return deleteReply{Result: resultDeleted, Message: fmt.Sprintf(textDeleted, name), Undeploy: true}, nil
}

// remove deletes an application with all its versions, unless others use what it runs.
func (s *Server) remove(ctx context.Context, app *oam.Application) error {
	if err := s.refuseUsed(ctx, app, nil); err != nil {
		return err
	}
	return s.config.Applications.DeleteApplication(ctx, s.config.Lattice, app)
}

// deleteVersion deletes one version. Unlike in wadm, a version that does not exist tears nothing down.
func (s *Server) deleteVersion(ctx context.Context, name, version string) (deleteReply, error) {
	f, err := s.find(ctx, name)
	if err != nil {
		return deleteReply{}, err
	}
	if f.version(version) == nil {
		return deleteReply{Result: resultNoop, Message: fmt.Sprintf(textDeleteNoVersion, version)}, nil
	}
	if len(f.visible) == 1 {
		if err := s.remove(ctx, f.app); err != nil {
			return deleteReply{}, err
		}
		return deleteReply{Result: resultDeleted, Message: fmt.Sprintf(textDeletedLast, name), Undeploy: true}, nil
	}
	return s.hideVersion(ctx, f, name, version)
}

// hideVersion takes one of several versions out of wash's sight, and undeploys it if it was deployed.
func (s *Server) hideVersion(ctx context.Context, f *family, name, version string) (deleteReply, error) {
	if strings.Contains(version, ",") {
		return deleteReply{}, text(textComma, version, name)
	}
	before := deployed(f.app)
	wasDeployed := before.version == version
	if wasDeployed {
		if err := refusePinned(f.app); err != nil {
			return deleteReply{}, err
		}
		if err := s.refuseUsed(ctx, f.app, nil); err != nil {
			return deleteReply{}, err
		}
	}
	err := s.change(ctx, f.app, func(app *oam.Application) {
		if wasDeployed {
			setUndeployed(app)
		} else if app.Annotations[oam.WashDeployedVersionAnnotation] == "" {
			annotate(app, oam.WashDeployedVersionAnnotation, before.record())
		}
		setHidden(app, append(hidden(app), version), f.revisions)
	})
	if err != nil {
		return deleteReply{}, err
	}
	return deleteReply{
		Result: resultDeleted, Message: fmt.Sprintf(textDeletedVersion, version, name), Undeploy: wasDeployed,
	}, nil
}
