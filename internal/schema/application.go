package schema

import (
	"strings"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// tightenApplication adds the rules of internal/manifest that a JSON Schema can say.
func tightenApplication(app node) {
	set(at(app, "metadata", "name"), node{"pattern": manifest.NamePattern})
	at(app, "metadata", "annotations")["properties"] = node{
		"version": node{
			"type": "string", "maxLength": manifest.MaxNameLength,
			"description": "name of this version of the spec; any text but latest and none",
			"not":         node{"enum": []any{manifest.LatestVersion, oam.DeployedNone}},
		},
	}
	tightenSpec(at(app, "spec"))
}

func tightenSpec(spec node) {
	at(spec, "components")["maxItems"] = manifest.MaxComponents
	at(spec, "policies")["maxItems"] = manifest.MaxPolicies
	set(at(spec, "policies[]", "name"), name())
	set(at(spec, "policies[]", "type"), node{"minLength": 1})
	component := at(spec, "components[]")
	set(at(component, "name"), node{"minLength": 1, "maxLength": manifest.MaxNameLength})
	at(component, "type")["enum"] = []any{manifest.TypeComponent, manifest.TypeActor, manifest.TypeCapability}
	tightenProperties(at(component, "properties"))
	at(component, "traits")["maxItems"] = manifest.MaxTraits
	set(at(component, "traits[]"), trait())
	set(at(component, "traits[]", "type"), node{"minLength": 1})
	// A shared component is run, configured and scaled by its own application.
	component["if"] = node{"properties": node{"properties": shared()}}
	component["then"] = node{"properties": node{"traits": node{"items": node{"properties": node{
		"type": node{"not": node{"enum": []any{manifest.TraitSpread, manifest.TraitDaemon}}},
	}}}}}
}

func tightenProperties(properties node) {
	// Without an id of its own a component has one made of its name: an empty one is none.
	set(at(properties, "id"), node{"maxLength": manifest.MaxIDLength, "pattern": strings.TrimSuffix(manifest.IDPattern, "+$") + "*$"})
	set(at(properties, "application", "name"), name())
	set(at(properties, "application", "component"), name())
	configs, secrets := config(), secret()
	closeObjects(secrets)
	set(at(properties, "config"), node{"maxItems": manifest.MaxConfigs, "items": configs["items"]})
	set(at(properties, "secrets"), node{"maxItems": manifest.MaxSecrets, "items": secrets["items"]})
	properties["if"] = shared()
	properties["then"] = node{"properties": node{
		"image": node{"maxLength": 0}, "config": node{"maxItems": 0}, "secrets": node{"maxItems": 0},
	}}
	properties["else"] = node{
		"required": []any{"image"}, "properties": node{"image": node{"type": "string", "minLength": 1, "pattern": `^\S+$`}},
	}
}

// shared are the properties of a component that another application runs.
func shared() node {
	return node{"required": []any{"application"}, "properties": node{"application": node{"type": "object"}}}
}

// trait chooses the shape of properties by the type; the traits of others are free.
func trait() node {
	of := func(shape node, kinds ...any) node {
		return node{
			"if":   node{"properties": node{"type": node{"enum": kinds}}},
			"then": node{"required": []any{"properties"}, "properties": node{"properties": shape}},
		}
	}
	return node{"allOf": []any{of(scaler(), manifest.TraitSpread, manifest.TraitDaemon), of(link(), manifest.TraitLink)}}
}

func scaler() node {
	count := node{"type": "integer", "minimum": 0, "maximum": uint32(1<<32 - 1)}
	return node{
		"type": "object", "additionalProperties": false,
		"properties": node{
			"instances": count, "replicas": count,
			"spread": node{"type": "array", "maxItems": manifest.MaxSpreads, "items": node{
				"type": "object", "additionalProperties": false, "required": []any{"name"},
				"properties": node{
					"name":         node{"type": "string"},
					"weight":       count,
					"requirements": node{"type": []any{"object", "null"}, "additionalProperties": node{"type": "string"}},
				},
			}},
		},
		"if":   node{"required": []any{"replicas"}},
		"then": node{"properties": node{"instances": false}},
		"else": node{"required": []any{"instances"}},
	}
}

// link takes fields that it does not know, as the server does. The old form of a target is its name; the old forms of the
// configurations count only beside it, or without a source.
func link() node {
	end := node{"type": "object", "properties": node{"config": config(), "secrets": secret()}}
	return node{
		"type":     "object",
		"required": []any{"namespace", "package", "interfaces", "target"},
		"properties": node{
			"name":       node{"type": "string"},
			"namespace":  node{"type": "string", "minLength": 1},
			"package":    node{"type": "string", "minLength": 1},
			"interfaces": node{"type": "array", "maxItems": manifest.MaxInterfaces, "items": node{"type": "string"}},
			"target": node{
				"type": []any{"object", "string"}, "minLength": 1, "required": []any{"name"},
				"properties": node{"name": node{"type": "string", "minLength": 1}, "config": config(), "secrets": secret()},
			},
			"source": end,
		},
		"allOf": []any{
			node{"if": node{"properties": node{"target": node{"type": "string"}}}, "then": node{"properties": node{"target_config": config()}}},
			node{"if": node{"not": node{"required": []any{"source"}}}, "then": node{"properties": node{"source_config": config()}}},
		},
	}
}

func config() node {
	return node{"type": "array", "maxItems": manifest.MaxConfigs, "items": node{
		"type": "object", "additionalProperties": false, "required": []any{"name"},
		"properties": node{
			"name":       node{"type": "string", "minLength": 1, "maxLength": manifest.MaxIDLength},
			"properties": node{"type": []any{"object", "null"}, "additionalProperties": node{"type": "string"}},
		},
	}}
}

// secret in free-form properties takes fields that it does not know.
func secret() node {
	text := node{"type": []any{"string", "null"}}
	return node{"type": "array", "maxItems": manifest.MaxSecrets, "items": node{
		"type": "object", "required": []any{"name", "properties"},
		"properties": node{
			"name": name(),
			"properties": node{
				"type": "object", "required": []any{"policy", "key"},
				"properties": node{"policy": name(), "key": name(), "field": text, "version": text},
			},
		},
	}}
}

func name() node {
	return node{"type": "string", "minLength": 1}
}

// set adds rules to a schema.
func set(schema, rules node) {
	for key, value := range rules {
		schema[key] = value
	}
}
