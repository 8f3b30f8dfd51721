package exposure

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// merge returns the named configurations as one, later ones winning key by key. One that is not there yet is empty.
func merge(names []string, view View) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		values, _ := view.Config(name)
		for key, value := range values {
			out[key] = value
		}
	}
	return out
}

// listening is how a listener listens.
type listening struct {
	address string
	// tls says that it speaks TLS.
	tls bool
}

// listenerOf reads a listener's settings as the provider does: config_b64, else config_json, else keys in any case.
func listenerOf(settings map[string]string, fallback string) listening {
	folded := map[string]string{}
	for key, value := range settings {
		folded[strings.ToLower(key)] = value
	}
	if encoded, found := folded["config_b64"]; found {
		raw, err := base64.RawStdEncoding.DecodeString(encoded)
		if err != nil {
			return listening{address: encoded} // which is no address, and said
		}
		return listenerInJSON(raw)
	}
	if text, found := folded["config_json"]; found {
		return listenerInJSON([]byte(text))
	}
	return listening{address: orDefault(folded["address"], fallback), tls: folded["tls_cert_file"] != "" && folded["tls_priv_key_file"] != ""}
}

// listenerInJSON ignores the provider's default address, as the provider does. Names count as they are written there.
func listenerInJSON(raw []byte) listening {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return listening{address: string(raw)}
	}
	text := func(name string) (value string) {
		if err := json.Unmarshal(members[name], &value); err != nil {
			return string(members[name])
		}
		return value
	}
	var nested map[string]string
	if err := json.Unmarshal(members["tls"], &nested); err != nil {
		nested = nil
	}
	tls := text("tls_cert_file") != "" && text("tls_priv_key_file") != "" || nested["cert_file"] != "" && nested["priv_key_file"] != ""
	return listening{address: orDefault(text("address"), defaultAddress), tls: tls}
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
