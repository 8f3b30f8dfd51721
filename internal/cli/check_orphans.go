package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/ledger"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// orphanCheck lists what runs in lattices for applications that nobody knows. It only looks.
type orphanCheck struct {
	cluster  *rest.Config
	settings *config.Config
	out      io.Writer
}

func (c *orphanCheck) run(ctx context.Context) error {
	kube, err := kubernetes.NewForConfig(c.cluster)
	if err != nil {
		return fmt.Errorf("make a client of the cluster: %w", err)
	}
	system, err := kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the cluster's id, the uid of namespace kube-system: %w", err)
	}
	apps, err := applications.NewClient(c.cluster)
	if err != nil {
		return err
	}
	known, err := applicationsByLattice(ctx, apps)
	if err != nil {
		return err // without them, everything would look orphaned
	}
	connector, names, err := c.connector(ctx)
	if err != nil {
		return err
	}
	links := newLattices(string(system.UID), connector.lattice)
	defer links.close()
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, name := range names {
		orphans, err := links.orphans(ctx, name, known[name])
		if err != nil {
			return fmt.Errorf("look at lattice %q: %w", name, err)
		}
		printOrphans(table, name, orphans)
	}
	return table.Flush()
}

// connector reaches the lattices of the configuration and those of host groups.
func (c *orphanCheck) connector(ctx context.Context) (*natsConnector, []string, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, nil, fmt.Errorf("register the kinds: %w", err)
		}
	}
	reader, err := client.New(c.cluster, client.Options{Scheme: scheme})
	if err != nil {
		return nil, nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	connector := &natsConnector{config: c.settings.NATS, groups: reader, secrets: reader, name: "trellis-check"}
	for _, l := range c.settings.Lattices {
		connector.lattices = append(connector.lattices, l.Name)
	}
	var groups v1alpha1.WasmCloudHostConfigList
	if err := reader.List(ctx, &groups); err != nil {
		return nil, nil, fmt.Errorf("list host groups: %w", err)
	}
	names := slices.Clone(connector.lattices)
	for _, g := range groups.Items {
		names = append(names, g.Spec.Lattice)
	}
	slices.Sort(names)
	return connector, slices.Compact(names), nil
}

// applicationsByLattice are the names of all applications.
func applicationsByLattice(ctx context.Context, apps *applications.Client) (map[string]map[string]bool, error) {
	known := map[string]map[string]bool{}
	for options := (metav1.ListOptions{Limit: listPage}); ; {
		list, err := apps.In(metav1.NamespaceAll).List(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("list applications: %w", err)
		}
		for _, app := range list.Items {
			lattice := app.Status.Lattice
			if known[lattice] == nil {
				known[lattice] = map[string]bool{}
			}
			known[lattice][app.Name] = true
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return known, nil
		}
	}
}

// orphans asks every host of a lattice what it runs. What a teardown record names is being stopped and no orphan.
func (l *lattices) orphans(ctx context.Context, name string, known map[string]bool) ([]scaler.Orphan, error) {
	link, err := l.link(ctx, name)
	if err != nil {
		return nil, err
	}
	records, err := link.ledger.ListTeardowns(ctx, l.cluster)
	if err != nil {
		return nil, err
	}
	hosts, err := control.New(link.conn, name, control.Options{Domain: link.domain, Window: serveWindow})
	if err != nil {
		return nil, err
	}
	pings, err := hosts.Ping(ctx)
	if err != nil {
		return nil, err
	}
	seen := scaler.NewLattice()
	for _, p := range pings {
		inventory, err := hosts.HostInventory(ctx, p.ID)
		if err != nil {
			return nil, fmt.Errorf("ask host %s what it runs: %w", p.ID, err)
		}
		seen.SetHost(scaler.HostFromInventory(p.ID, inventory))
	}
	return scaler.Orphans(seen, func(application string) bool {
		return known[application] || slices.ContainsFunc(records, func(t ledger.Teardown) bool { return t.Application == application })
	}), nil
}

func printOrphans(out io.Writer, lattice string, orphans []scaler.Orphan) {
	if len(orphans) == 0 {
		fmt.Fprintf(out, "lattice %s: nothing runs without an owner\n", lattice)
		return
	}
	fmt.Fprintf(out, "lattice %s: %d run without an owner; they are left alone: apply the application again, or stop them with wash\n", lattice, len(orphans))
	fmt.Fprintln(out, "HOST\tID\tAPPLICATION")
	for _, o := range orphans {
		fmt.Fprintf(out, "%s\t%s\t%s\n", o.Host, o.ID, o.Application)
	}
}
