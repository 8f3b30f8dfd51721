package apiserver

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// A record names every host of the status once, and the pods of those that have one.
func TestTeardownNamesHostsAndPods(t *testing.T) {
	var record Teardown
	record.addStatus(&v1beta1.ApplicationStatus{Components: []v1beta1.ComponentStatus{
		{Hosts: []v1beta1.HostPlacement{{HostID: "NA", PodUID: "uid-a"}, {HostID: "NB"}}},
		{Hosts: []v1beta1.HostPlacement{{HostID: "NA", PodUID: "uid-a"}}},
	}})
	want := Teardown{Hosts: []string{"NA", "NB"}, Pods: map[string]types.UID{"NA": "uid-a"}}
	if diff := cmp.Diff(want, record); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}
