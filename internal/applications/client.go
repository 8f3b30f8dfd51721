// Package applications reaches the Application API: a client for the objects, and one informer that every consumer of a
// process shares. It is what the orchestrator and wadm's API mean when they ask for applications.
package applications

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

type (
	applicationClient = gentype.ClientWithList[*oam.Application, *oam.ApplicationList]
	revisionClient    = gentype.ClientWithList[*oam.ApplicationRevision, *oam.ApplicationRevisionList]
)

// Client reads and writes applications and reads their revisions, as whoever its rest.Config says.
type Client struct {
	rest  rest.Interface
	codec runtime.ParameterCodec
}

// NewClient returns a client for the API that config leads to.
func NewClient(config *rest.Config) (*Client, error) {
	scheme := runtime.NewScheme()
	if err := oam.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register core.oam.dev: %w", err)
	}
	metav1.AddToGroupVersion(scheme, metav1.SchemeGroupVersion)
	config = rest.CopyConfig(config)
	gv := oam.SchemeGroupVersion
	config.GroupVersion = &gv
	config.APIPath = "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	// JSON is all that the API speaks for this group.
	config.ContentType = runtime.ContentTypeJSON
	config.AcceptContentTypes = runtime.ContentTypeJSON
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for core.oam.dev: %w", err)
	}
	return &Client{rest: client, codec: runtime.NewParameterCodec(scheme)}, nil
}

// In returns the applications of a namespace; the empty namespace means all, for reading.
func (c *Client) In(namespace string) *applicationClient {
	return gentype.NewClientWithList("applications", c.rest, c.codec, namespace,
		func() *oam.Application { return &oam.Application{} },
		func() *oam.ApplicationList { return &oam.ApplicationList{} })
}

// RevisionsIn returns the revisions of a namespace.
func (c *Client) RevisionsIn(namespace string) *revisionClient {
	return gentype.NewClientWithList("applicationrevisions", c.rest, c.codec, namespace,
		func() *oam.ApplicationRevision { return &oam.ApplicationRevision{} },
		func() *oam.ApplicationRevisionList { return &oam.ApplicationRevisionList{} })
}
