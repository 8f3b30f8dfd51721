package kubeapi

import "encoding/json"

// Kubeconfig returns a kubeconfig, as JSON, which every Kubernetes program
// reads as well as YAML. Keys are inside, so that the file can be moved.
func Kubeconfig(server, user string, ca, cert, key []byte) ([]byte, error) {
	type object map[string]any
	return json.MarshalIndent(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "trellis",
		"clusters": []object{{"name": "trellis", "cluster": object{"server": server, "certificate-authority-data": ca}}},
		"users":    []object{{"name": user, "user": object{"client-certificate-data": cert, "client-key-data": key}}},
		"contexts": []object{{"name": "trellis", "context": object{"cluster": "trellis", "user": user}}},
	}, "", "  ")
}
