package apiserver

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/warning"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// sharedPorts are applications that all listen on one port.
type sharedPorts []*v1beta1.Application

func (s sharedPorts) Listening(string, uint16) []*v1beta1.Application { return s }

type recorded []string

func (r *recorded) AddWarning(_, text string) { *r = append(*r, text) }

func listeningOn(t *testing.T, namespace, name string) *v1beta1.Application {
	t.Helper()
	var app v1beta1.Application
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(hello(name).Object, &app); err != nil {
		t.Fatal(err)
	}
	app.Namespace, app.Status.Lattice = namespace, "default"
	return &app
}

// Whoever writes an application hears of others that want its port, by name if they may be read.
func TestWarnOfPorts(t *testing.T) {
	mine, rival := listeningOn(t, "team-a", "mine"), listeningOn(t, "team-b", "rival")
	undeployed := listeningOn(t, "team-b", "rival")
	undeployed.Annotations = map[string]string{v1beta1.DeployedVersionAnnotation: v1beta1.DeployedNone}
	allow, deny := authorizerfactory.NewAlwaysAllowAuthorizer(), authorizerfactory.NewAlwaysDenyAuthorizer()
	many := sharedPorts{}
	for i := range 10 {
		many = append(many, listeningOn(t, "team-b", fmt.Sprint("rival-", i)))
	}
	for name, tc := range map[string]struct {
		old, app *v1beta1.Application
		others   sharedPorts
		may      authorizer.Authorizer
		warnings int
		says     string
	}{
		"readable":           {nil, mine, sharedPorts{rival}, allow, 1, `application "rival" in namespace "team-b"`},
		"not readable":       {nil, mine, sharedPorts{rival}, deny, 1, "another application of the lattice"},
		"itself":             {nil, mine, sharedPorts{mine}, allow, 0, ""},
		"undeployed":         {nil, mine, sharedPorts{undeployed}, allow, 0, ""},
		"is undeployed":      {nil, undeployed, sharedPorts{mine}, allow, 0, ""},
		"nothing changed":    {mine, mine, sharedPorts{rival}, allow, 0, ""},
		"no more than three": {nil, mine, many, allow, 3, `give "mine" another port`},
	} {
		t.Run(name, func(t *testing.T) {
			var got recorded
			ctx := request.WithUser(warning.WithWarningRecorder(t.Context(), &got), &user.DefaultInfo{Name: "alice"})
			(&lifecycle{ports: tc.others, authorizer: tc.may}).warnOfPorts(ctx, tc.old, tc.app)
			if len(got) != tc.warnings || !strings.Contains(strings.Join(got, "\n"), tc.says) {
				t.Errorf("warnings %q, want %d with %q", got, tc.warnings, tc.says)
			}
			if strings.Contains(strings.Join(got, "\n"), "rival") != (tc.says != "" && tc.may == allow) {
				t.Errorf("names the other: %q", got)
			}
		})
	}
	(&lifecycle{}).warnOfPorts(t.Context(), nil, &v1beta1.Application{ObjectMeta: metav1.ObjectMeta{Name: "x"}}) // nobody is known
}
