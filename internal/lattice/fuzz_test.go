package lattice

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var forms = []recode{
	recodeEvent, recodeAs[Reply], recodeAs[HostPing], recodeAs[Inventory], recodeAs[ScaleComponent], recodeAs[UpdateComponent], recodeAs[RefreshComponent],
	recodeAs[ComponentAuction], recodeAs[ProviderAuction], recodeAs[ComponentBid], recodeAs[ProviderBid], recodeAs[StartProvider],
	recodeAs[StopProvider], recodeAs[StopHost], recodeAs[PutLabel], recodeAs[DeleteLabel], recodeAs[Config],
	recodeAs[RegistryCredentials], recodeAs[Link], recodeAs[DeleteLink], recodeAs[ComponentSpec], recodeAs[Claims],
}

// FuzzDecode: no bytes crash a decoder, and what is accepted survives being written and read again.
func FuzzDecode(f *testing.F) {
	seen := map[string]bool{}
	for _, r := range readRecorded(f) {
		if key := strings.Split(r.Subject, "_INBOX")[0]; !seen[key] && len(r.body()) < 2000 {
			seen[key] = true
			for form := range forms {
				f.Add(uint8(form), r.body())
			}
		}
	}
	f.Fuzz(func(t *testing.T, form uint8, data []byte) {
		recode := forms[int(form)%len(forms)]
		once, err := recode(data)
		if err != nil {
			return
		}
		twice, err := recode(once)
		if err != nil {
			t.Fatalf("what we wrote we cannot read: %v\n%s", err, once)
		}
		if diff := cmp.Diff(string(once), string(twice)); diff != "" {
			t.Fatalf("writing is not stable:\n%s", diff)
		}
	})
}

// FuzzSubjects: no name leads a subject out of its place, and what is made can be taken apart.
func FuzzSubjects(f *testing.F) {
	f.Add("default", "N1", "cfg")
	f.Add("a.b", "*", ">")
	f.Fuzz(func(t *testing.T, lattice, host, config string) {
		s, err := NewSubjects("", lattice)
		if err != nil {
			return
		}
		if subject, err := s.ComponentScale(host); err == nil {
			if op, err := s.Parse(subject); err != nil || op.Object != host || strings.ContainsAny(subject, " *>\r\n\t") {
				t.Fatalf("%q: %+v, %v", subject, op, err)
			}
		}
		if subject, err := s.ConfigPut(config); err == nil {
			if op, err := s.Parse(subject); err != nil || op.Object != config {
				t.Fatalf("%q: %+v, %v", subject, op, err)
			}
		}
	})
}
