package apiserver

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metatable "k8s.io/apimachinery/pkg/api/meta/table"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// table shows objects of one kind in columns.
type table struct {
	columns []metav1.TableColumnDefinition
	row     func(runtime.Object) []any
}

var _ rest.TableConvertor = (*table)(nil)

func column(name, kind, description string, priority int32) metav1.TableColumnDefinition {
	c := metav1.TableColumnDefinition{Name: name, Type: kind, Description: description, Priority: priority}
	if name == "Name" {
		c.Format = "name"
	}
	return c
}

func applicationTable() *table {
	return &table{
		columns: []metav1.TableColumnDefinition{
			column("Name", "string", "Name of the application.", 0),
			column("Lattice", "string", "Lattice that the application runs in.", 0),
			column("Ready", "string", "Whether the deployed version runs as it should.", 0),
			column("Status", "string", "One word: Undeployed, Reconciling, Deployed or Failed.", 0),
			column("Version", "string", "Deployed version; the current one in brackets when it is another.", 0),
			column("Age", "date", "Time since the application was made.", 0),
			column("Hosts", "string", "Hosts that run a part of the application.", 1),
			column("Endpoint", "string", "Address of the Service that exposes the application.", 1),
		},
		row: func(obj runtime.Object) []any {
			app := obj.(*v1beta1.Application)
			return []any{
				app.Name, app.Status.Lattice, ready(app), string(app.Status.Phase), shownVersion(app),
				metatable.ConvertToHumanReadableDateType(app.CreationTimestamp), hosts(app), app.Status.Endpoint,
			}
		},
	}
}

func revisionTable() *table {
	return &table{
		columns: []metav1.TableColumnDefinition{
			column("Name", "string", "Name of the revision.", 0),
			column("Application", "string", "Application that it is a version of.", 0),
			column("Version", "string", "Name of the version.", 0),
			column("Digest", "string", "First characters of the digest of the spec.", 0),
			column("Age", "date", "Time since the version was stored.", 0),
		},
		row: func(obj runtime.Object) []any {
			r := obj.(*v1beta1.ApplicationRevision)
			return []any{r.Name, r.Application, r.Version, r.Digest[:min(len(r.Digest), hashLength)],
				metatable.ConvertToHumanReadableDateType(r.CreationTimestamp)}
		},
	}
}

// ConvertToTable implements rest.TableConvertor.
func (t *table) ConvertToTable(_ context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	out := &metav1.Table{Rows: []metav1.TableRow{}} // never null
	if o, ok := options.(*metav1.TableOptions); !ok || o == nil || !o.NoHeaders {
		out.ColumnDefinitions = t.columns
	}
	add := func(item runtime.Object) error {
		out.Rows = append(out.Rows, metav1.TableRow{Cells: t.row(item), Object: runtime.RawExtension{Object: item}})
		return nil
	}
	if !meta.IsListType(obj) {
		if m, err := meta.Accessor(obj); err == nil {
			out.ResourceVersion = m.GetResourceVersion()
		}
		return out, add(obj)
	}
	list, err := meta.ListAccessor(obj)
	if err != nil {
		return nil, fmt.Errorf("make a table of %T: %w", obj, err)
	}
	out.ResourceVersion, out.Continue = list.GetResourceVersion(), list.GetContinue()
	out.RemainingItemCount = list.GetRemainingItemCount()
	return out, meta.EachListItem(obj, add)
}

func ready(app *v1beta1.Application) string {
	if c := meta.FindStatusCondition(app.Status.Conditions, v1beta1.ConditionReady); c != nil {
		return string(c.Status)
	}
	return string(metav1.ConditionUnknown)
}

func shownVersion(app *v1beta1.Application) string {
	switch deployed, current := app.Status.DeployedVersion, app.Status.Version; {
	case deployed == current:
		return current
	case deployed == "":
		return "[" + current + "]"
	default:
		return deployed + " [" + current + "]"
	}
}

// hosts lists the hosts of all parts; status holds 20 for each, the rest is a number.
func hosts(app *v1beta1.Application) string {
	seen, most := map[string]bool{}, 0
	for _, c := range app.Status.Components {
		for _, h := range c.Hosts {
			name := h.Name
			if name == "" {
				name = h.HostID
			}
			seen[name] = true
		}
		most = max(most, int(c.HostCount))
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	sort.Strings(names)
	const shown = 3
	total := max(len(names), most)
	if total > shown {
		return fmt.Sprintf("%s,+%d", strings.Join(names[:min(shown, len(names))], ","), total-min(shown, len(names)))
	}
	return strings.Join(names, ",")
}
