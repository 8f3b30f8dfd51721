package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	apiserverapi "k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/path"
	authorizerunion "k8s.io/apiserver/pkg/authorization/union"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/server/options"
)

// healthPaths are what everybody may read; nothing else is.
var healthPaths = []string{"/healthz", "/livez", "/readyz"}

// authenticateThroughCluster trusts kube-apiserver's front proxy, whose CA it publishes in kube-system, and asks
// kube-apiserver about tokens and rights.
func authenticateThroughCluster(c *server.Config, d *Delegated) error {
	authn := options.NewDelegatingAuthenticationOptions()
	authn.RemoteKubeConfigFile = d.Kubeconfig
	if err := authn.ApplyTo(&c.Authentication, c.SecureServing, nil); err != nil {
		return fmt.Errorf("delegate authentication to kube-apiserver: %w", err)
	}
	authz := options.NewDelegatingAuthorizationOptions()
	authz.RemoteKubeConfigFile = d.Kubeconfig
	authz.AlwaysAllowPaths = healthPaths
	if err := authz.ApplyTo(&c.Authorization); err != nil {
		return fmt.Errorf("delegate authorization to kube-apiserver: %w", err)
	}
	var err error
	c.Authorization.Authorizer, err = authorizerunion.New(
		authorizerunion.NamedAuthorizer{AuthorizerName: "trellis/strangers", Authorizer: authorizer.AuthorizerFunc(refuseStrangers)},
		authorizerunion.NamedAuthorizer{AuthorizerName: "trellis/orchestrator", Authorizer: askAtOnce(c.Authorization.Authorizer)},
		authorizerunion.NamedAuthorizer{AuthorizerName: "kubernetes", Authorizer: c.Authorization.Authorizer},
	)
	if err != nil {
		return fmt.Errorf("delegate authorization to kube-apiserver: %w", err)
	}
	c.ReadyzChecks = append(c.ReadyzChecks, frontProxyKnown(c.Authentication.RequestHeaderConfig))
	return nil
}

// refuseStrangers gives those without credentials health and nothing else, whatever the cluster grants them: by default
// they may read the version.
func refuseStrangers(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	u := a.GetUser()
	if u == nil || !slices.Contains(u.GetGroups(), user.AllUnauthenticated) || !a.IsResourceRequest() && slices.Contains(healthPaths, a.GetPath()) {
		return authorizer.DecisionNoOpinion, "", nil
	}
	return authorizer.DecisionDeny, "credentials are needed", nil
}

// askAtOnce asks for the orchestrator whether it may do to all objects what it is about to do to one: it does the same to
// each, and kube-apiserver would be asked anew for every application. Who has that right for all has it for one.
func askAtOnce(kubernetes authorizer.Authorizer) authorizer.Authorizer {
	return authorizer.AuthorizerFunc(func(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		u := a.GetUser()
		if u == nil || u.GetName() != OrchestratorUser || !a.IsResourceRequest() {
			return authorizer.DecisionNoOpinion, "", nil
		}
		decision, reason, err := kubernetes.Authorize(ctx, authorizer.AttributesRecord{
			User: u, Verb: a.GetVerb(), APIGroup: a.GetAPIGroup(), APIVersion: a.GetAPIVersion(),
			Resource: a.GetResource(), Subresource: a.GetSubresource(), ResourceRequest: true,
		})
		if decision != authorizer.DecisionAllow {
			return authorizer.DecisionNoOpinion, "", nil // a narrower right may do
		}
		return decision, reason, err
	})
}

// frontProxyKnown keeps the server from being ready before it has read the CA of kube-apiserver's front proxy: until
// then every request through kube-apiserver would be anonymous, and refused.
func frontProxyKnown(config *authenticatorfactory.RequestHeaderConfig) healthz.HealthChecker {
	return healthz.NamedCheck("front-proxy-ca", func(*http.Request) error {
		if config == nil {
			return errors.New("kube-system/extension-apiserver-authentication names no front proxy; is aggregation enabled in kube-apiserver?")
		}
		if _, ok := config.CAContentProvider.VerifyOptions(); !ok {
			return errors.New("the CA of the front proxy has not been read from kube-system/extension-apiserver-authentication")
		}
		return nil
	})
}

// authenticateByCertificate lets in whoever has a certificate of a CA, and lets them do everything.
func authenticateByCertificate(c *server.Config, ca dynamiccertificates.CAContentProvider) error {
	if err := c.Authentication.ApplyClientCert(ca, c.SecureServing); err != nil {
		return fmt.Errorf("trust the client CA: %w", err)
	}
	var health []apiserverapi.AnonymousAuthCondition
	for _, p := range healthPaths {
		health = append(health, apiserverapi.AnonymousAuthCondition{Path: p})
	}
	c.Authentication.Authenticator = union.New(
		group.NewAuthenticatedGroupAdder(x509.NewDynamic(ca.VerifyOptions, x509.CommonNameUserConversion)),
		anonymous.NewAuthenticator(health),
	)
	forAll, err := path.NewAuthorizer(healthPaths)
	if err != nil {
		return fmt.Errorf("open the health endpoints: %w", err)
	}
	c.Authorization.Authorizer, err = authorizerunion.New(
		authorizerunion.NamedAuthorizer{AuthorizerName: "trellis/health", Authorizer: forAll},
		authorizerunion.NamedAuthorizer{AuthorizerName: "trellis/authenticated", Authorizer: authorizer.AuthorizerFunc(allowAuthenticated)},
	)
	return err
}

func allowAuthenticated(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if u := a.GetUser(); u != nil && slices.Contains(u.GetGroups(), user.AllAuthenticated) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "a client certificate is needed", nil
}
