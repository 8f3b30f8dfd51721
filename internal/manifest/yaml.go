package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

var errManyDocuments = errors.New("deserializing from YAML containing more than one document is not supported")

// decodeYAML reads one YAML document into the same form as decodeJSON. Plain scalars get a type as in YAML 1.2 and no
// other: a date, `yes` and `1_000` are strings. The limits of decodeJSON hold with aliases expanded.
func decodeYAML(data []byte) (any, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if err := dec.Decode(&next); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, err
		}
		return nil, errManyDocuments
	}
	c := converter{}
	return c.value(&doc, 0)
}

type converter struct{ nodes int }

func (c *converter) value(n *yaml.Node, depth int) (any, error) {
	if c.nodes++; c.nodes > MaxNodes || depth > MaxDepth {
		return nil, errTooComplex
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) != 1 {
			return nil, nil
		}
		return c.value(n.Content[0], depth)
	case yaml.AliasNode:
		return c.value(n.Alias, depth+1)
	case yaml.MappingNode:
		return c.mapping(n, depth)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			v, err := c.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	default:
		return scalar(n), nil
	}
}

func (c *converter) mapping(n *yaml.Node, depth int) (any, error) {
	object := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, node := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		name, ok := scalar(key).(string)
		if key.Kind != yaml.ScalarNode || !ok {
			return nil, fmt.Errorf("line %d: the name of a member must be a string", n.Content[i].Line)
		}
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("line %d: duplicate field `%s`", n.Content[i].Line, name)
		}
		v, err := c.value(node, depth+1)
		if err != nil {
			return nil, err
		}
		object[name] = v
	}
	return object, nil
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		return number(n.Value)
	default:
		return n.Value
	}
}

func number(text string) any {
	if jsonNumber.MatchString(text) {
		return json.Number(text)
	}
	if strings.Contains(text, "_") {
		return text
	}
	if i, err := strconv.ParseInt(text, 0, 64); err == nil {
		return json.Number(strconv.FormatInt(i, 10))
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		// No JSON number says infinity; wadm's parser makes null of it where any value may stand.
		return nil
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}
