package wadmapi

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

func (s *Server) get(ctx context.Context, name string, body []byte) any {
	var request versionRequest
	if err := readBody(body, &request); err != nil {
		return failure("get", fmt.Sprintf(textParseGet, err))
	}
	f, err := s.find(ctx, name)
	if apierrors.IsNotFound(err) {
		return getReply{Result: resultNotFound, Message: fmt.Sprintf(textAppNotFound, name)}
	}
	if err != nil {
		return say(ctx, "get", err)
	}
	revision, message := f.latest(), fmt.Sprintf(textGot, name)
	if request.Version != nil {
		revision, message = f.version(*request.Version), fmt.Sprintf(textGotVersion, name, *request.Version)
	}
	switch {
	case revision != nil:
		return getReply{Result: resultSuccess, Message: message, Manifest: newDocument(revision)}
	case request.Version != nil:
		return getReply{Result: resultNotFound, Message: fmt.Sprintf(textNoVersion, name, *request.Version)}
	default:
		return say(ctx, "get", fmt.Errorf("application %s has no version", name))
	}
}

// list answers both `list` (a bare array) and `get` without a name (an object).
func (s *Server) list(ctx context.Context, bare bool) any {
	apps, err := s.config.Applications.ListApplications(ctx, s.config.Lattice)
	if err != nil {
		return say(ctx, "list", err)
	}
	models := make([]summary, 0, len(apps))
	for _, app := range apps {
		m, err := s.summarise(ctx, app)
		if apierrors.IsNotFound(err) {
			continue // deleted meanwhile
		}
		if err != nil {
			return say(ctx, "list", err)
		}
		models = append(models, m)
	}
	slices.SortFunc(models, func(a, b summary) int { return strings.Compare(a.Name, b.Name) })
	if bare {
		return models
	}
	return listReply{Result: resultSuccess, Message: textGotList, Models: models}
}

// summarise reads revisions only where the latest version is not all there is to know: a list of many applications must
// not be as many reads.
func (s *Server) summarise(ctx context.Context, app *oam.Application) (summary, error) {
	d := deployed(app)
	out := summary{Name: app.Name, Version: app.Status.Version}
	annotations, deployedSpec := app.Annotations, &app.Spec
	if len(hidden(app)) > 0 || d.version != "" && d.version != app.Status.Version || app.Status.Version == "" {
		f, err := s.withVersions(ctx, app)
		if err != nil {
			return summary{}, err
		}
		out.Version, deployedSpec = f.latestName(), f.deployedSpec()
		if latest := f.latest(); latest != nil {
			annotations = latest.ManifestAnnotations
		}
	}
	if text, ok := annotations[oam.DescriptionAnnotation]; ok {
		out.Description = &text
	}
	if d.version != "" {
		out.DeployedVersion = &d.version
	}
	out.DetailedStatus = newStatus(app, deployedSpec, true)
	out.Status, out.StatusMessage = out.DetailedStatus.Status.Type, out.DetailedStatus.Status.Message
	if out.Status == statusWaiting {
		out.Status = statusUndeployed
	}
	return out, nil
}

func (s *Server) versions(ctx context.Context, name string) any {
	f, err := s.find(ctx, name)
	if apierrors.IsNotFound(err) {
		return versionsReply{Result: resultNotFound, Message: fmt.Sprintf(textAppNotFound, name), Versions: []versionInfo{}}
	}
	if err != nil {
		return say(ctx, "versions", err)
	}
	current := deployed(f.app).version
	list := make([]versionInfo, 0, len(f.visible))
	for _, r := range f.visible {
		list = append(list, versionInfo{Version: r.Version, Deployed: r.Version == current})
	}
	return versionsReply{Result: resultSuccess, Message: fmt.Sprintf(textGotVersions, name), Versions: list}
}

func (s *Server) status(ctx context.Context, name string) any {
	reply := statusReply{Result: resultOK, Message: fmt.Sprintf(textGotStatus, name), Status: plainStatus(statusUndeployed, "")}
	f, err := s.find(ctx, name)
	if apierrors.IsNotFound(err) {
		return reply // wadm knows no other answer for an unknown application
	}
	if err != nil {
		return say(ctx, "status", err)
	}
	reply.Status = newStatus(f.app, f.deployedSpec(), false)
	return reply
}
