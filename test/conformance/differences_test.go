//go:build conformance && linux

package conformance

// difference is an answer that is ours alone, and why.
type difference struct {
	ours, why string
}

// The reasons.
const (
	nameRules      = "wadm's names are allowed: letters, digits, - and _, at most 63 (docs/spec/application.md)"
	whoseMistake   = "a mistake of the client is answered as one, not as a failure of the server or of something else"
	typedEmpty     = "the kind is a Go type, so that members that are always there belong to nobody; and the registry's own annotation"
	saysFields     = "the refusal lists the field selectors that there are"
	saysForm       = "the Go type is named, and nothing is answered with 500"
	typedBody      = "as for every kind that is built into Kubernetes, a body that does not fit the Go type is no object at all"
	kubectlApplies = "served as for every kind that is built into Kubernetes; `kubectl apply` reads in OpenAPI that it may send them"
	asBuiltIn      = "as for every kind that is built into Kubernetes: served by k8s.io/apiserver, not by the handler of definitions"
	noProtobuf     = "applications have no protobuf form (docs/rationale/json-only.md), so that the refusal does not offer it"
	warnsOfNothing = "an application without components is warned about"
	otherStore     = "a version that the store has not reached is of another store (docs/spec/store.md); etcd lets the watch wait for ever"
	moreNames      = "the definition that is compared with has neither, so that `kubectl get app` is not ambiguous"
)

// differences are all there are, by check and label. One that is not listed fails, and so does one that is not there.
var differences = map[string]difference{
	"apply/a list of another type":           {`400`, whoseMistake},
	"apply/a spec of another type":           {`400`, whoseMistake},
	"apply/apply after that":                 {`200 alice Apply FieldsV1: {"f:spec":{"f:components":{"k:{\"name\":\"web\"}":{".":{},"f:name":{},"f:properties":{"f:image":{}},"f:traits":{},"f:type":{}}}}}; before-first-apply Update FieldsV1: {"f:metadata":{"f:annotations":{".":{},"f:k8s.wasmcloud.dev/namespace-uid":{}},"f:labels":{".":{},"f:a":{},"f:yaml":{}}},"f:spec":{"f:components":{"k:{\"name\":\"web\"}":{".":{},"f:name":{},"f:properties":{".":{},"f:image":{}},"f:traits":{},"f:type":{}}}}}`, typedEmpty},
	"apply/the manager of a create":          {`201 wonder Update FieldsV1: {"f:spec":{"f:components":{"k:{\"name\":\"web\"}":{".":{},"f:name":{},"f:properties":{".":{},"f:image":{}},"f:traits":{},"f:type":{}}}}}`, typedEmpty},
	"apply/two of a name":                    {`422`, whoseMistake},
	"create/another kind":                    {`400 BadRequest`, typedBody},
	"create/no kind":                         {`201 Application`, asBuiltIn},
	"create/spec of another type":            {`400 BadRequest`, typedBody},
	"create/text instead of a list":          {`400 BadRequest`, typedBody},
	"deletecollection/an unknown field":      {`400 BadRequest: "spec.nonsense" is not a field selector of Application; there are metadata.name, metadata.namespace, status.lattice, status.phase`, saysFields},
	"discovery/aggregated: applications":     {`Namespaced map[group: kind:Application version:] [create delete deletecollection get list patch update watch] [status [get patch update]]`, asBuiltIn},
	"discovery/applications: categories":     {`[oam]`, moreNames},
	"discovery/applications: shortNames":     {`[app]`, moreNames},
	"fieldvalidation/ YAML":                  {`201 Application 299 - "line 4: key \"components\" already set in map" 299 - "unknown field \"spec.nonsense\"" 299 - "spec.components: the application has no components: nothing will run"`, warnsOfNothing},
	"fieldvalidation/ apply":                 {`400 BadRequest: failed to create typed patch object (/one; GROUP/v1beta1, Kind=Application): .spec.nonsense: field not declared in schema`, whoseMistake},
	"fieldvalidation/Ignore YAML":            {`201 Application 299 - "spec.components: the application has no components: nothing will run"`, warnsOfNothing},
	"fieldvalidation/Ignore apply":           {`400 BadRequest: failed to create typed patch object (/one; GROUP/v1beta1, Kind=Application): .spec.nonsense: field not declared in schema`, whoseMistake},
	"fieldvalidation/Strict apply":           {`400 BadRequest: failed to create typed patch object (/one; GROUP/v1beta1, Kind=Application): .spec.nonsense: field not declared in schema`, whoseMistake},
	"fieldvalidation/Warn YAML":              {`201 Application 299 - "line 4: key \"components\" already set in map" 299 - "unknown field \"spec.nonsense\"" 299 - "spec.components: the application has no components: nothing will run"`, warnsOfNothing},
	"fieldvalidation/Warn apply":             {`400 BadRequest: failed to create typed patch object (/one; GROUP/v1beta1, Kind=Application): .spec.nonsense: field not declared in schema`, whoseMistake},
	"forms/a list, asked as metadata of one": {`406 NotAcceptable: you requested PartialObjectMetadata, but the requested object is a list (*v1beta1.ApplicationList)`, saysForm},
	"forms/an unknown form":                  {`406 NotAcceptable: only the following media types are accepted: application/json, application/yaml`, noProtobuf},
	"forms/metadata of one, asked as a list": {`406 NotAcceptable: you requested PartialObjectMetadataList, but the requested object is not a list (*v1beta1.Application)`, saysForm},
	"forms/table of another version":         {`406 NotAcceptable: only the following media types are accepted: application/json, application/yaml`, noProtobuf},
	"get/plain text":                         {`406 NotAcceptable: 406: Not Acceptable⏎⏎Available representations: application/json, application/yaml`, noProtobuf},
	"list/field of metadata":                 {`400 BadRequest: "metadata.uid" is not a field selector of Application; there are metadata.name, metadata.namespace, status.lattice, status.phase`, saysFields},
	"list/field unknown":                     {`400 BadRequest: "spec.nonsense" is not a field selector of Application; there are metadata.name, metadata.namespace, status.lattice, status.phase`, saysFields},
	"list/kind of an item":                   {` `, asBuiltIn},
	"names/253 letters":                      {`422 Invalid`, nameRules},
	"names/64 letters":                       {`422 Invalid`, nameRules},
	"names/capitals":                         {`201 Application`, nameRules},
	"names/dash first":                       {`201 Application`, nameRules},
	"names/dot inside":                       {`422 Invalid`, nameRules},
	"names/underscore":                       {`201 Application`, nameRules},
	"patch/strategic merge patch":            {`200 Application`, kubectlApplies},
	"status/who owns it":                     {`200 applier Apply FieldsV1 status: {"f:status":{"f:deployedVersion":{}}}`, typedEmpty},
	"update/another kind":                    {`400 BadRequest`, typedBody},
	"verbs/GET /one/status/x":                {`404`, asBuiltIn},
	"verbs/HEAD /one":                        {`405`, asBuiltIn},
	"verbs/PATCH ":                           {`405`, asBuiltIn},
	"verbs/POST /one":                        {`405`, asBuiltIn},
	"verbs/PUT ":                             {`405`, asBuiltIn},
	"watch/an unknown field":                 {`REFUSED 400 BadRequest: "spec.nonsense" is not a field selector of Application; there are metadata.name, metadata.namespace, status.lattice, status.phase`, saysFields},
	"watch/from the future":                  {`REFUSED 410 Expired: The resourceVersion for the provided watch is from a store that was replaced.`, otherStore},
}
