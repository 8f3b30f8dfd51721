package store

import (
	"strings"
	"testing"
)

func TestSubject(t *testing.T) {
	for _, c := range []struct {
		at   location
		want string
	}{
		{location{"c1", "applications.core.oam.dev", "shop/hello"}, "obj.c1.applications=2Ecore=2Eoam=2Edev.shop.hello"},
		{location{"c1", "pods", "hello"}, "obj.c1.pods.hello"},
		{location{"c1", "pods", ""}, "obj.c1.pods.="},
		{location{"c1", "pods", "/hello"}, "obj.c1.pods.=.hello"},
		{location{"c1", "pods", "a.b/c>*"}, "obj.c1.pods.a=2Eb.c=3E=2A"},
		{location{"c1", "pods", "My_App-1/Ä"}, "obj.c1.pods.My_App-1.=C3=84"},
	} {
		got, err := tailOf(c.at)
		if err != nil || got != c.want {
			t.Errorf("subject of %v is %q, want %q: %v", c.at, got, c.want, err)
		}
		if back, meta, ok := parseTail(got); !ok || meta != "" || back != c.at {
			t.Errorf("%q parses to %v, %q, %v", got, back, meta, ok)
		}
	}
	if _, meta, ok := parseTail(metaTail(metaCompact)); !ok || meta != metaCompact {
		t.Errorf("the subject of the compact record parses to %q, %v", meta, ok)
	}
}

func TestSubject_Errors(t *testing.T) {
	if _, err := tailOf(location{"c", "r", strings.Repeat("ä", 2000)}); err == nil {
		t.Error("a subject without bound was made")
	}
	for _, subject := range []string{
		"", "obj", "obj.c", "obj.c.r", "other.c.r.n", "obj.c.r.", "obj.c.r.a..b",
		"obj.c.r.=2", "obj.c.r.=41", "obj.c.r.=2e", "obj.c.r.a=", "obj.=.r.n", "obj.a=2Fb.r.n", "obj.c.r.a b",
	} {
		if at, meta, ok := parseTail(subject); ok {
			t.Errorf("%q parses to %v, %q", subject, at, meta)
		}
	}
}

// FuzzSubject: every path has one subject, every subject at most one path, and the path returns.
func FuzzSubject(f *testing.F) {
	for _, seed := range []string{"", "a", "a/b", "a.b/c", "=", "=2E", "/", "ä>* ", "A_b-9//"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at := location{"c", "r", text}
		if subject, err := tailOf(at); err == nil {
			if back, meta, ok := parseTail(subject); !ok || meta != "" || back != at {
				t.Errorf("%q became %q became %v (%v)", text, subject, back, ok)
			}
		}
		if found, meta, ok := parseTail("obj.c.r." + text); ok && meta == "" {
			if subject, err := tailOf(found); err != nil || subject != "obj.c.r."+text {
				t.Errorf("%q parses to %v, whose subject is %q: %v", text, found, subject, err)
			}
		}
	})
}
