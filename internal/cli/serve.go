package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/util/flowcontrol"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/trellis-operator/trellis/internal/apiserver"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/binding"
	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/exposure"
	"github.com/trellis-operator/trellis/internal/install"
	"github.com/trellis-operator/trellis/internal/store"
	"github.com/trellis-operator/trellis/internal/storemark"
)

// serveOptions are the flags of `trellis serve`; what is the same for all replicas stands in the configuration file.
type serveOptions struct {
	configFile string
	kubeconfig string
	namespace  string
	identity   string
	verbosity  int
	service    string
	ownerRole  string
	audit      apiserver.Audit
}

func serveCommand() *cobra.Command {
	o := serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the operator in a Kubernetes cluster: API server, orchestrator, controllers, wadm's API",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServe(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.configFile, "config", "/etc/trellis/config.yaml", "configuration file")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster (default: that of the pod)")
	flags.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the operator")
	flags.StringVar(&o.identity, "identity", os.Getenv("POD_NAME"), "name of this replica, unique among them")
	flags.IntVar(&o.verbosity, "v", 0, "detail of the log: 0 tells what matters, 4 and more is for debugging")
	flags.StringVar(&o.service, "service", "trellis", "Service through which kube-apiserver reaches the Application API")
	flags.StringVar(&o.ownerRole, "owner-cluster-role", "", "ClusterRole that owns the APIService, so that it goes with the release")
	flags.StringVar(&o.audit.LogPath, "audit-log-path", "", "file of the audit log, or - for the standard output (default: none)")
	flags.StringVar(&o.audit.PolicyFile, "audit-policy-file", "", "what the audit log holds: a Policy of audit.k8s.io/v1")
	return cmd
}

func (o *serveOptions) validate() error {
	switch {
	case o.namespace == "":
		return errors.New("--namespace is empty and POD_NAMESPACE is not set: name the namespace of the operator")
	case o.identity == "":
		return errors.New("--identity is empty and POD_NAME is not set: name this replica")
	case o.service == "":
		return errors.New("--service is empty: name the Service of the Application API")
	case o.audit.LogPath != "" && o.audit.PolicyFile == "":
		return errors.New("--audit-log-path is set and --audit-policy-file is empty: name a file with a Policy of audit.k8s.io/v1 that says what is logged")
	}
	return nil
}

// serve is a running `trellis serve`. Its fields are set by the steps in the order of their declaration.
type serve struct {
	options serveOptions
	config  *config.Config
	parts   *parts

	rest    *rest.Config
	kube    kubernetes.Interface
	clients install.Clients
	cluster string

	manager  ctrl.Manager
	bindings *binding.Set
	lattices *lattices
	guard    *storeGuard
	account  *nats.Conn // of the store
	objects  *store.Store
	secrets  *secretService
	loopback *rest.Config
	cache    *applications.Cache

	observers *observers
	groups    *notes[string]
	exposed   *notes[exposure.Trigger]
}

// runServe builds the parts in the order in which each needs the one before, and ends them in the reverse order.
func runServe(ctx context.Context, o serveOptions) (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	saveMemory()
	logger := newLogger(os.Stderr, o.verbosity)
	klog.SetLogger(logger)
	ctrl.SetLogger(logger)
	ctx = logr.NewContext(ctx, logger)
	s := &serve{options: o, parts: newParts(), observers: newObservers(), groups: newNotes[string](), exposed: newNotes[exposure.Trigger]()}
	if s.config, err = config.Load(o.configFile); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.parts.stop()) }()
	for _, step := range []func(context.Context) error{
		s.connectCluster, s.installDefinitions, s.makeManager, s.openStore, s.prepareSecrets, s.serveAPI, s.decideSecrets, s.superviseLattices, s.startControllers,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	logger.Info("Trellis serves", "version", Version, "cluster", s.cluster)
	return s.parts.wait(ctx)
}

// connectCluster finds the cluster and its id.
func (s *serve) connectCluster(ctx context.Context) (err error) {
	if s.rest, err = clusterConfig(s.options.kubeconfig); err != nil {
		return err
	}
	if s.kube, err = kubernetes.NewForConfig(s.rest); err != nil {
		return fmt.Errorf("make a client of the cluster: %w", err)
	}
	system, err := s.kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the cluster's id, the uid of namespace kube-system: %w", err)
	}
	s.cluster = string(system.UID)
	return nil
}

// openStore connects to the operator's own account; it does not wait until NATS answers.
func (s *serve) openStore(ctx context.Context) error {
	connector := &natsConnector{config: s.config.NATS, groups: s.manager.GetClient(), secrets: s.manager.GetAPIReader(), name: s.options.identity}
	for _, l := range s.config.Lattices {
		connector.lattices = append(connector.lattices, l.Name)
	}
	conn, err := connector.store(ctx)
	if err != nil {
		return fmt.Errorf("connect to the NATS account of the store: %w", err)
	}
	s.account = conn
	s.parts.onStop(ctx, "NATS connection of the store", func() error { conn.Close(); return nil })
	s.lattices = newLattices(s.cluster, connector.lattice)
	s.parts.onStop(ctx, "NATS connections of lattices", func() error { s.lattices.close(); return nil })
	if s.guard, err = newStoreGuard(ctx, storemark.Config{
		Shelf: &storemark.ConfigMap{Client: s.kube.CoreV1().ConfigMaps(s.options.namespace), Labels: ownLabels()},
		Told:  s.tellAboutStore(ctx),
	}); err != nil {
		return err
	}
	s.objects, err = store.Open(ctx, store.Config{
		Conn: conn, Domain: s.config.NATS.Domain, Cluster: s.cluster, Replicas: s.config.NATS.Replicas,
		WatchReady: flowcontrol.WatchInitialized, Expect: s.guard.expect,
	})
	if err != nil {
		return err
	}
	s.parts.onStop(ctx, "store", func() error { s.objects.Close(); return nil })
	return nil
}

// serveAPI serves the Application API and fills the one cache of applications.
func (s *serve) serveAPI(ctx context.Context) error {
	certificate := &servingCertificate{
		client: s.kube, namespace: s.options.namespace, trusted: s.registerAPI, now: time.Now,
		hosts: []string{s.options.service + "." + s.options.namespace + ".svc", "localhost"},
	}
	if err := certificate.refresh(ctx); err != nil {
		return err
	}
	s.parts.start(ctx, "serving certificate", certificate.run)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(int(s.config.API.Port))))
	if err != nil {
		return fmt.Errorf("listen for the Application API: %w", err)
	}
	names, ports := ledgersForAPI{s.lattices}, &portsForAPI{}
	server, err := apiserver.New(apiserver.Config{
		Store: s.objects, Settled: s.guard.settled, Bindings: bindingsForAPI{s.bindings},
		Claims: names, HeldClaims: names, Teardowns: names, Ports: ports,
		Listener: listener, Certificate: certificate,
		Delegated:     &apiserver.Delegated{Config: s.rest, Kubeconfig: s.options.kubeconfig},
		ShutdownDelay: shutdownDelay, Audit: s.options.audit,
		SecretsBackend: s.secrets.backend(), Checks: s.secrets.checks(),
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.parts.start(ctx, "Application API", server.Run)
	s.loopback = server.LoopbackConfig()
	client, err := applications.NewClient(actAs(s.loopback, apiserver.OrchestratorUser))
	if err != nil {
		return err
	}
	if s.cache, err = applications.NewCache(server.Reader()); err != nil {
		return err
	}
	ports.cache.Store(s.cache)
	s.parts.start(ctx, "cache of applications", func(ctx context.Context) error { s.cache.Run(ctx); return nil })
	s.guard.watch(ctx, s.parts, s.objects, s.cache, client)
	return nil
}

// tellAboutStore logs, and writes an Event about the ConfigMap that says which store was served.
func (s *serve) tellAboutStore(ctx context.Context) func(problem string) {
	about := &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: s.options.namespace, Name: storemark.ConfigMapName},
	}
	events := s.manager.GetEventRecorder("trellis")
	return func(problem string) {
		if problem == "" {
			logr.FromContextOrDiscard(ctx).Info("The store is served again")
			events.Eventf(about, nil, corev1.EventTypeNormal, "StoreServed", "Verify", "The store is served again.")
			return
		}
		logr.FromContextOrDiscard(ctx).Error(nil, "Nothing is served, and no lattice is changed", "reason", problem)
		events.Eventf(about, nil, corev1.EventTypeWarning, string(store.CauseStoreChanged), "Verify", "%s", problem)
	}
}

// superviseLattices runs orchestrator, wadm's API and observers for every bound lattice.
func (s *serve) superviseLattices(ctx context.Context) error {
	ends := newPodEnds()
	if err := ends.follow(ctx, s.manager.GetCache()); err != nil {
		return err
	}
	supervisor := &latticeSupervisor{
		bindings: s.bindings, lattices: s.lattices, loopback: s.loopback, cache: s.cache, guard: s.guard, observers: s.observers,
		recorder: eventRecorder{s.manager.GetEventRecorder("trellis")}, identity: s.options.identity, ends: ends, accounts: s.config.Wash.Accounts,
		groups: s.groups, exposed: s.exposed, living: namespacesOf(s.kube.CoreV1().Namespaces()),
		secrets: s.secrets,
	}
	s.parts.start(ctx, "lattices", supervisor.run)
	s.parts.start(ctx, "notes for host groups", s.groups.run)
	s.parts.start(ctx, "notes for exposure", s.exposed.run)
	return nil
}

const (
	managerStopTimeout = 5 * time.Second
	// shutdownDelay is how long nodes take, at most, to notice that a pod is not an endpoint any more.
	shutdownDelay = 5 * time.Second
)
