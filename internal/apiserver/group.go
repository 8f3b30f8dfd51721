package apiserver

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/server"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// codecs encode and decode by one scheme.
type codecs struct {
	scheme  *runtime.Scheme
	served  *runtime.Scheme
	factory serializer.CodecFactory
}

func newCodecs() (*codecs, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	served, err := newServedScheme()
	if err != nil {
		return nil, err
	}
	factory := serializer.NewCodecFactory(scheme, serializer.WithStreamingCollectionEncodingToJSON())
	return &codecs{scheme: scheme, served: served, factory: factory}, nil
}

// wire is what clients may choose from.
func (c *codecs) wire() runtime.NegotiatedSerializer { return textSerializer{c.factory} }

// stored is the form in the store.
func (c *codecs) stored() runtime.Codec { return c.factory.LegacyCodec(v1beta1.SchemeGroupVersion) }

// install adds the group to the server.
func install(s *server.GenericAPIServer, c *codecs, resources map[string]rest.Storage) error {
	info := server.NewDefaultAPIGroupInfo(v1beta1.GroupName, c.scheme, runtime.NewParameterCodec(c.scheme), c.factory)
	info.NegotiatedSerializer = c.wire()
	info.VersionedResourcesStorageMap[v1beta1.Version] = resources
	if err := s.InstallAPIGroup(&info); err != nil {
		return fmt.Errorf("install core.oam.dev: %w", err)
	}
	return nil
}
