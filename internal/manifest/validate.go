package manifest

import (
	"errors"
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/policy"
)

const (
	// NamePattern of applications is what wadm and a path of the Kubernetes API both allow.
	NamePattern = `^[-A-Za-z0-9_]{1,63}$`
	// IDPattern of components: an id is part of subjects and of keys. wadm takes any text; hosts then fail in ways that
	// are hard to read.
	IDPattern = `^[-/_=A-Za-z0-9]+$`
)

var applicationName = regexp.MustCompile(NamePattern)

// Validate checks an application as the API server does before it stores one. Errors name the field and what to do;
// warnings are for what is legal but hardly meant. It takes no part in reading: a stored application that newer rules
// would refuse still runs, see Parse.
func Validate(app *v1beta1.Application) (field.ErrorList, []string) {
	c := newCheck(app)
	c.metadata()
	spec := field.NewPath("spec")
	if data, err := CanonicalJSON(&app.Spec); err != nil {
		c.errs = append(c.errs, field.Invalid(spec, "", err.Error()))
		return c.errs, nil
	} else if len(data) > MaxBytes {
		c.errs = append(c.errs, field.TooLong(spec, "", MaxBytes))
		return c.errs, nil
	}
	c.components(spec.Child("components"))
	c.policies(spec.Child("policies"))
	c.ports(spec.Child("components"))
	return c.errs, c.warnings
}

// ValidateMetadata checks the metadata alone: that of a stored application must stay changeable whatever newer rules say
// of its spec, or nobody could go back to another version of it.
func ValidateMetadata(app *v1beta1.Application) (field.ErrorList, []string) {
	c := newCheck(app)
	c.metadata()
	return c.errs, c.warnings
}

type check struct {
	app      *v1beta1.Application
	errs     field.ErrorList
	warnings []string
	// names and ids of the components before: id to the name of its component.
	names map[string]*v1beta1.Component
	ids   map[string]string
	// configs with values, by their name in the lattice, and those without.
	configs map[string]givenConfig
	foreign []foreignConfig
}

type givenConfig struct {
	name   string
	values map[string]string
	onLink bool
}

type foreignConfig struct {
	path *field.Path
	name string
}

func newCheck(app *v1beta1.Application) *check {
	return &check{app: app, names: map[string]*v1beta1.Component{}, ids: map[string]string{}, configs: map[string]givenConfig{}}
}

func (c *check) invalid(path *field.Path, value any, format string, args ...any) {
	c.errs = append(c.errs, field.Invalid(path, value, fmt.Sprintf(format, args...)))
}

// duplicate names the rule beside the value: field.Duplicate says what, not why or what to do.
func (c *check) duplicate(path *field.Path, value any, format string, args ...any) {
	found := field.Duplicate(path, value)
	found.Detail = fmt.Sprintf(format, args...)
	c.errs = append(c.errs, found)
}

// misfit reports what is wrong in the free-form part at path, on the very field; form says what the part should look like.
func (c *check) misfit(path *field.Path, v any, err error, form string) {
	var found *misfit
	if errors.As(err, &found) && found.at != "" {
		path = path.Child(found.at)
		if found.missing {
			c.errs = append(c.errs, field.Required(path, err.Error()+"; "+form))
			return
		}
	}
	c.invalid(path, shorten(rawJSON(v)), "%v; %s", err, form)
}

func (c *check) warn(path *field.Path, format string, args ...any) {
	c.warnings = append(c.warnings, path.String()+": "+fmt.Sprintf(format, args...))
}

func (c *check) metadata() {
	meta := field.NewPath("metadata")
	if c.app.Name != "" && !applicationName.MatchString(c.app.Name) {
		c.invalid(meta.Child("name"), c.app.Name, "use letters, digits, - and _, 63 at most")
	}
	path := meta.Child("annotations").Key(v1beta1.VersionAnnotation)
	switch version, ok := c.app.Annotations[v1beta1.VersionAnnotation]; {
	case version == LatestVersion:
		c.invalid(path, version, "latest means the last version and cannot be the name of one")
	case version == v1beta1.DeployedNone:
		c.invalid(path, version, "none means undeployed and cannot be the name of a version")
	case len(version) > MaxNameLength:
		c.errs = append(c.errs, field.TooLong(path, "", MaxNameLength))
	case ok && version == "":
		c.warn(path, "an empty version is treated as none given: a name is generated")
	}
	// Kubernetes allows a few keys that OAM does not, for instance prefixes that begin with a digit. They are legal on
	// everything else in the cluster, so they are not refused; but wash will not put such a manifest again.
	for _, key := range sortedKeys(c.app.Labels) {
		if !oamKey(key) {
			c.warn(meta.Child("labels").Key(key), "Invalid OAM label; wash refuses manifests with it, choose another key")
		}
	}
	for _, key := range sortedKeys(c.app.Annotations) {
		if !oamKey(key) {
			c.warn(meta.Child("annotations").Key(key), "Invalid OAM annotation; wash refuses manifests with it, choose another key")
		}
	}
}

func (c *check) policies(path *field.Path) {
	if n := len(c.app.Spec.Policies); n > MaxPolicies {
		c.errs = append(c.errs, field.TooMany(path, n, MaxPolicies))
		return
	}
	seen := map[string]bool{}
	for i, p := range c.app.Spec.Policies {
		at := path.Index(i)
		if p.Name == "" {
			c.errs = append(c.errs, field.Required(at.Child("name"), "secrets refer to a policy by its name"))
		}
		if p.Type == "" {
			c.errs = append(c.errs, field.Required(at.Child("type"), "for instance "+SecretPolicyType))
		}
		if seen[p.Name] {
			c.warn(at.Child("name"), "policy %q is defined more than once; the last one counts", p.Name)
		}
		seen[p.Name] = true
	}
	c.exposePolicies(path)
}

// exposePolicies warns only: an application runs as well without a Service, and its condition Exposed says what is wrong
// for as long as it is.
func (c *check) exposePolicies(path *field.Path) {
	_, problems := policy.Read(c.app.Name, &c.app.Spec)
	for _, p := range problems {
		at := path.Index(p.Index).Child("properties")
		if p.Property != "" {
			at = at.Key(p.Property)
		}
		if p.Field != "" {
			at = at.Child(p.Field)
		}
		c.warn(at, "%s", p.Text)
	}
}

func (c *check) components(path *field.Path) {
	list := c.app.Spec.Components
	switch {
	case list == nil:
		c.errs = append(c.errs, field.Required(path, "list the components and capabilities to run"))
	case len(list) == 0:
		c.warn(path, "the application has no components: nothing will run")
	case len(list) > MaxComponents:
		c.errs = append(c.errs, field.TooMany(path, len(list), MaxComponents))
		return
	}
	for i := range list {
		c.component(path.Index(i), &list[i])
	}
	links := map[linkKey]string{}
	for i := range list {
		c.links(path.Index(i), &list[i], links)
	}
	c.foreignConfigs()
}
