package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/spf13/pflag"

	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natskeys"
	"github.com/trellis-operator/trellis/internal/store"
	"github.com/trellis-operator/trellis/internal/storemark"
)

// storeAccess says where a store is, to commands that look at one without serving it: that of a configuration file, or
// with --state-dir that of `trellis dev`.
type storeAccess struct {
	configFile string
	kubeconfig string
	namespace  string
	stateDir   string
	natsURL    string
}

func (a *storeAccess) addMarkFlags(flags *pflag.FlagSet) {
	flags.StringVar(&a.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster (default: that of the pod)")
	flags.StringVar(&a.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the operator")
	flags.StringVar(&a.stateDir, "state-dir", "", "the store of the `trellis dev` with this state folder, instead of that of a cluster")
	flags.StringVar(&a.natsURL, "nats", "", "with --state-dir: the NATS server that `trellis dev` was told to use")
}

func (a *storeAccess) addFlags(flags *pflag.FlagSet) {
	a.addMarkFlags(flags)
	flags.StringVar(&a.configFile, "config", "/etc/trellis/config.yaml", "configuration file of the operator: where NATS is")
}

func (a *storeAccess) validate() error {
	switch {
	case a.natsURL != "" && a.stateDir == "":
		return errors.New("--nats goes with --state-dir: name the state folder of `trellis dev`")
	case a.stateDir == "" && a.namespace == "":
		return errors.New("--namespace is empty and POD_NAMESPACE is not set: name the namespace of the operator")
	}
	return nil
}

// shelf is where it is written which store was served last.
func (a *storeAccess) shelf() (storemark.Shelf, error) {
	if a.stateDir != "" {
		return storeShelf(&devState{dir: a.stateDir}, a.natsURL), nil
	}
	kube, err := kubeClient(a.kubeconfig)
	if err != nil {
		return nil, err
	}
	return &storemark.ConfigMap{Client: kube.CoreV1().ConfigMaps(a.namespace), Labels: ownLabels()}, nil
}

// storeLinks are open connections to a store and to the lattices beside it.
type storeLinks struct {
	store    store.Config
	lattices map[string]*nats.Conn
	domain   string
}

func (l *storeLinks) names() []string { return slices.Sorted(maps.Keys(l.lattices)) }

func (l *storeLinks) close() {
	for _, conn := range l.lattices {
		conn.Close()
	}
	l.store.Conn.Close()
}

// connect opens them. Lattices in a NATS of their own, which only host groups name, are not among them.
func (a *storeAccess) connect(ctx context.Context) (*storeLinks, error) {
	if a.stateDir != "" {
		return a.connectDev(ctx)
	}
	settings, err := config.Load(a.configFile)
	if err != nil {
		return nil, err
	}
	conn, err := connectAccount(ctx, settings.NATS, natskeys.AccountStore)
	if err != nil {
		return nil, fmt.Errorf("connect to the NATS account of the store: %w", err)
	}
	links := &storeLinks{lattices: map[string]*nats.Conn{}, domain: settings.NATS.Domain, store: store.Config{
		Conn: conn, Domain: settings.NATS.Domain, Replicas: settings.NATS.Replicas,
	}}
	for _, l := range settings.Lattices {
		account, err := natskeys.LatticeAccount(l.Name)
		if err == nil {
			links.lattices[l.Name], err = connectAccount(ctx, settings.NATS, account)
		}
		if err != nil {
			delete(links.lattices, l.Name)
			links.close()
			return nil, fmt.Errorf("connect to the NATS account of lattice %q: %w", l.Name, err)
		}
	}
	return links, nil
}

func connectAccount(ctx context.Context, settings config.NATS, account string) (*nats.Conn, error) {
	c := natsconn.Config{URLs: []string{settings.ClientURL()}, Name: "trellis-store"}
	if settings.CredentialsDir != "" {
		c.CredsFile = filepath.Join(settings.CredentialsDir, natskeys.CredentialsFile(account))
	}
	return natsconn.Connect(ctx, c)
}

// connectDev opens the connections of `trellis dev`, whose one account holds everything.
func (a *storeAccess) connectDev(ctx context.Context) (*storeLinks, error) {
	url, domain := a.natsURL, ""
	if url == "" {
		url, domain = "nats://127.0.0.1:4222", devDomain
	}
	c := natsconn.Config{URLs: []string{url}, Name: "trellis-store"}
	conn, err := natsconn.Connect(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("%w; does `trellis dev` run? name its NATS server with --nats if it is another", err)
	}
	lattice, err := natsconn.Connect(ctx, c)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &storeLinks{
		store: store.Config{Conn: conn, Domain: domain}, lattices: map[string]*nats.Conn{devLattice: lattice}, domain: domain,
	}, nil
}
