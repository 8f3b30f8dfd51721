package cli

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/apiserver"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/binding"
	"github.com/trellis-operator/trellis/internal/exposure"
	"github.com/trellis-operator/trellis/internal/hostgroup"
	"github.com/trellis-operator/trellis/internal/natskeys"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// makeManager prepares the controllers' manager with its caches, and feeds the bindings from host groups.
func (s *serve) makeManager(ctx context.Context) (err error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, oam.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("register the kinds: %w", err)
		}
	}
	byObject := hostgroup.CacheByObject()
	maps.Copy(byObject, exposure.CacheByObject())
	grace := managerStopTimeout
	s.manager, err = ctrl.NewManager(s.rest, ctrl.Options{
		Scheme: scheme, Cache: cache.Options{ByObject: byObject},
		Client:         client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		LeaderElection: true, LeaderElectionID: "trellis-controllers", LeaderElectionNamespace: s.options.namespace,
		LeaderElectionReleaseOnCancel: true, GracefulShutdownTimeout: &grace,
		Metrics: server.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
	})
	if err != nil {
		return fmt.Errorf("prepare the controllers: %w", err)
	}
	s.bindings = binding.NewSet(s.staticBindings())
	groups, err := s.manager.GetCache().GetInformer(ctx, &v1alpha1.WasmCloudHostConfig{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch host groups: %w", err)
	}
	update := func() { s.updateBindings(ctx) }
	_, err = groups.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { update() }, UpdateFunc: func(_, _ any) { update() }, DeleteFunc: func(any) { update() },
	})
	if err != nil {
		return fmt.Errorf("watch host groups: %w", err)
	}
	s.parts.start(ctx, "controllers", s.manager.Start)
	if !s.manager.GetCache().WaitForCacheSync(ctx) {
		return ctx.Err()
	}
	update()
	return nil
}

// staticBindings are those of the configuration; "*" means every namespace.
func (s *serve) staticBindings() []binding.Binding {
	var static []binding.Binding
	for _, b := range s.config.Bindings {
		bound := binding.Binding{Lattice: b.Lattice, Home: b.Home}
		if !slices.Contains(b.Namespaces, "*") {
			bound.Namespaces = b.Namespaces
		}
		static = append(static, bound)
	}
	return static
}

func (s *serve) updateBindings(ctx context.Context) {
	var list v1alpha1.WasmCloudHostConfigList
	if err := s.manager.GetClient().List(ctx, &list); err != nil {
		return // the cache is not filled yet; the next event comes
	}
	groups := make([]binding.HostGroup, 0, len(list.Items))
	for _, g := range list.Items {
		groups = append(groups, binding.HostGroup{
			Namespace: g.Namespace, Name: g.Name, Lattice: g.Spec.Lattice, Created: g.CreationTimestamp.Time,
		})
	}
	s.bindings.SetHostGroups(groups)
}

// startControllers adds the controllers of host groups and of exposure; one replica at a time runs them.
func (s *serve) startControllers(context.Context) error {
	client, err := applications.NewClient(actAs(s.loopback, apiserver.OrchestratorUser))
	if err != nil {
		return err
	}
	groups := hostgroup.New(hostgroup.Options{
		Images: s.images(), Hub: s.hub(), Hosts: s.observers, Applications: groupApplications{s.cache},
		Client: s.manager.GetClient(), Live: s.manager.GetAPIReader(), Events: s.manager.GetEventRecorder("trellis"),
		SecretsTopic: s.secrets.topic(),
	})
	if err := groups.SetupWithManager(s.manager, s.groups.out); err != nil {
		return fmt.Errorf("set up the controller of host groups: %w", err)
	}
	if err := s.manager.Add(&rollCall{observers: s.observers, groups: s.manager.GetClient()}); err != nil {
		return fmt.Errorf("set up the call of hosts: %w", err)
	}
	services := exposure.New(exposure.Options{
		Applications: exposedApplications{s.cache, client, applications.NewRevisions(client)},
		Lattices:     s.observers, Client: s.manager.GetClient(), Live: s.manager.GetAPIReader(), Dialer: &net.Dialer{},
	})
	if err := services.SetupWithManager(s.manager, s.exposed.out); err != nil {
		return fmt.Errorf("set up the controller of Services: %w", err)
	}
	return s.manager.Add(&washBinder{
		client: s.manager.GetClient(), bindings: s.bindings, role: s.options.ownerRole + "-wash", allows: s.config.Wash.Allows,
	})
}

func (s *serve) images() hostgroup.Images {
	hosts := s.config.Hosts
	images := hostgroup.Images{
		Helper: hosts.HelperImage, Host: hosts.Image, Leaf: hosts.LeafImage,
		PullPolicy: hosts.ImagePullPolicy, PullSecrets: hosts.ImagePullSecrets,
	}
	for _, m := range hosts.Mirrors {
		images.Mirrors = append(images.Mirrors, hostgroup.Mirror(m))
	}
	return images
}

// hub is the chart's NATS, as host groups use it by default; somebody else's NATS is used by those that name it only.
func (s *serve) hub() hostgroup.Hub {
	if !s.config.NATS.Managed {
		return hostgroup.Hub{}
	}
	hub := hostgroup.Hub{
		Address: s.config.NATS.Address, LeafPort: s.config.NATS.LeafPort, Lattices: map[string][]string{},
	}
	for _, l := range s.config.Lattices {
		hub.Lattices[l.Name] = l.Namespaces
	}
	if s.config.NATS.CredentialsDir != "" {
		hub.Credentials = natskeys.NewIssuer(s.config.NATS.CredentialsDir, natskeys.Names{
			Domain: s.config.NATS.Domain, SecretsPrefix: s.config.Secrets.Prefix, SecretsBackend: s.config.Secrets.Backend,
			GroupPrefix: secrets.GroupPrefix,
		})
	}
	return hub
}

// eventRecorder writes Events on applications.
type eventRecorder struct{ events.EventRecorder }

func (r eventRecorder) Event(app *oam.Application, eventType, reason, message string) {
	r.Eventf(app, nil, eventType, reason, "Reconcile", "%s", message)
}

func keyOf(app *oam.Application) types.NamespacedName {
	return types.NamespacedName{Namespace: app.Namespace, Name: app.Name}
}
