package apiserver

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/storage/names"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	clientrest "k8s.io/client-go/rest"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/apiserver/openapi"
)

// Server is the API server of one process.
type Server struct {
	generic      *server.GenericAPIServer
	loopback     *loopback
	applications *applicationREST
	sweeper      *sweeper
	collector    *collector
}

// New builds a server. It does not wait for NATS; with Delegated it asks kube-apiserver for its CA once.
func New(config Config) (*Server, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	codecs, err := newCodecs()
	if err != nil {
		return nil, err
	}
	loop := newLoopback()
	generic, c, err := genericConfig(&config, codecs, loop)
	if err != nil {
		return nil, err
	}
	s, err := generic.Complete(c.informersOrNil()).New("trellis", server.NewEmptyDelegate())
	if err != nil {
		return nil, fmt.Errorf("build the API server: %w", err)
	}
	if err := s.AddReadyzChecks(append([]healthz.HealthChecker{storeCheck(config.Store)}, config.Checks...)...); err != nil {
		return nil, fmt.Errorf("build the API server: %w", err)
	}
	out := &Server{generic: s, loopback: loop}
	resources, err := out.resources(&config, codecs, c, generic.Authorization.Authorizer)
	if err != nil {
		return nil, err
	}
	return out, install(s, codecs, resources)
}

// LoopbackConfig reaches the server within the process, as a member of system:masters; impersonate to be less.
func (s *Server) LoopbackConfig() *clientrest.Config { return s.loopback.config() }

// Run serves until ctx ends, then lets requests in flight finish, and closes the listener.
func (s *Server) Run(ctx context.Context) error {
	prepared := s.generic.PrepareRun()
	var parts sync.WaitGroup
	defer parts.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	parts.Go(func() { s.loopback.serve(ctx, s.generic.Handler) })
	parts.Go(func() { s.sweeper.run(ctx) })
	parts.Go(func() { s.collector.run(ctx) })
	if err := prepared.RunWithContext(ctx); err != nil {
		return fmt.Errorf("serve the Application API: %w", err)
	}
	return nil
}

// genericConfig is the configuration of everything that is not about applications. The cluster is nil in dev.
func genericConfig(config *Config, codecs *codecs, loop *loopback) (*server.Config, *cluster, error) {
	generic := server.NewConfig(codecs.factory)
	generic.Serializer = codecs.wire()
	generic.EffectiveVersion = apiLevel()
	generic.FeatureGate = utilfeature.DefaultFeatureGate
	generic.LoopbackClientConfig = loop.config()
	generic.SecureServing = &server.SecureServingInfo{
		Listener: config.Listener, Cert: config.Certificate, HTTP2MaxStreamsPerConnection: http2Streams,
	}
	generic.EnableProfiling = false
	generic.EnableIndex = true
	generic.StorageInitializationTimeout = config.ReadyTimeout
	generic.RequestTimeout = requestTimeout
	generic.MaxRequestsInFlight, generic.MaxMutatingRequestsInFlight = config.MaxReads, config.MaxWrites
	generic.BuildHandlerChainFunc = buildHandler
	generic.ShutdownWatchTerminationGracePeriod = watchGracePeriod
	generic.ShutdownDelayDuration = config.ShutdownDelay
	describe(generic, codecs)
	if err := config.Audit.applyTo(generic); err != nil {
		return nil, nil, err
	}
	if config.Delegated == nil {
		return generic, nil, authenticateByCertificate(generic, config.ClientCA)
	}
	if err := authenticateThroughCluster(generic, config.Delegated); err != nil {
		return nil, nil, err
	}
	c, err := newCluster(config.Delegated.Config)
	if err != nil {
		return nil, nil, err
	}
	return generic, c, c.admit(generic)
}

// describe sets OpenAPI up; server-side apply reads the types from it, too.
func describe(generic *server.Config, codecs *codecs) {
	namer := genericopenapi.NewDefinitionNamer(codecs.served)
	generic.OpenAPIConfig = server.DefaultOpenAPIConfig(openapi.Definitions, namer)
	generic.OpenAPIConfig.Info.Title = "Trellis"
	generic.OpenAPIV3Config = server.DefaultOpenAPIV3Config(openapi.Definitions, namer)
	generic.OpenAPIV3Config.Info.Title = "Trellis"
}

// resources builds the resources from the store upwards.
func (s *Server) resources(config *Config, codecs *codecs, c *cluster, authz authorizer.Authorizer) (map[string]rest.Storage, error) {
	gate := secretGate{backend: config.SecretsBackend, authorizer: authz}
	rules := &strategy{ObjectTyper: codecs.scheme, NameGenerator: names.SimpleNameGenerator, namespaceUID: c.namespaceUID, secrets: gate}
	life := &lifecycle{
		bindings: config.Bindings, claims: config.Claims, teardowns: config.Teardowns, authorizer: authz, ports: config.Ports,
		versions: newVersionNamer(config.Clock, rand.Reader),
	}
	options := &storages{store: config.Store, codec: codecs.stored(), wrap: life.around}
	revs, err := newRevisionREST(options, rules)
	if err != nil {
		return nil, err
	}
	life.revisions = &revisions{storage: revs.store.Storage.Storage, clock: config.Clock, keep: config.MaxRevisions}
	apps, status, err := newApplicationREST(options, rules, c.terminating)
	if err != nil {
		return nil, err
	}
	s.applications = apps
	s.sweeper = &sweeper{
		applications: apps.Store, revisions: life.revisions, bindings: config.Bindings, cluster: c, every: sweepEvery,
	}
	s.collector = &collector{
		held: config.HeldClaims, revisions: life.revisions, clock: config.Clock, store: config.servedStore,
		list: func(ctx context.Context) (*v1beta1.ApplicationList, error) { return s.sweeper.list(ctx, "") },
	}
	return map[string]rest.Storage{
		applications: apps, applications + "/status": status, applicationRevisions: revs,
	}, nil
}
