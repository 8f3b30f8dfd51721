package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// CheckFree fails when something that is not ours uses one of the cluster's
// address ranges.
func CheckFree() error {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("the machine's routes cannot be read: %w", err)
	}
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		address, _ := netip.AddrFromSlice(route.Dst.IP.To4())
		ones, _ := route.Dst.Mask.Size()
		if !Ours(netip.PrefixFrom(address, ones)) {
			continue
		}
		link, err := netlink.LinkByIndex(route.LinkIndex)
		if err == nil && link.Attrs().Name != Bridge {
			return fmt.Errorf("the cluster needs the addresses 10.217.0.0 to 10.219.255.255, but %s uses %s; take that link down first", link.Attrs().Name, route.Dst)
		}
	}
	return nil
}

// EnsureBridge makes the bridge with its address, or completes it.
func EnsureBridge() error {
	bridge, err := netlink.LinkByName(Bridge)
	if isMissing(err) {
		attributes := netlink.NewLinkAttrs()
		attributes.Name = Bridge
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attributes}); err != nil {
			return fmt.Errorf("the bridge %s cannot be made: %w", Bridge, err)
		}
		bridge, err = netlink.LinkByName(Bridge)
	}
	if err != nil {
		return fmt.Errorf("the bridge %s cannot be read: %w", Bridge, err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(MachineIP).To4(), Mask: mask(NodesCIDR)}}
	if err := netlink.AddrReplace(bridge, address); err != nil {
		return fmt.Errorf("the address %s cannot be set: %w", MachineIP, err)
	}
	return netlink.LinkSetUp(bridge)
}

// Plug makes the n-th node's cable and puts its far end into the network
// namespace of the process pid. A cable that is there is replaced.
func Plug(n, pid int) error {
	if err := remove(VethMachine(n)); err != nil {
		return err
	}
	bridge, err := netlink.LinkByName(Bridge)
	if err != nil {
		return err
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MasterIndex = VethMachine(n), bridge.Attrs().Index
	veth := &netlink.Veth{LinkAttrs: attributes, PeerName: VethNode(n), PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("the link %s cannot be made: %w", VethMachine(n), err)
	}
	return netlink.LinkSetUp(veth)
}

// Replug completes the n-th node's cable: a run may have died between making
// it and switching it on, or the bridge may be new. It returns false when
// there is no cable.
func Replug(n int) (bool, error) {
	cable, err := netlink.LinkByName(VethMachine(n))
	if isMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	bridge, err := netlink.LinkByName(Bridge)
	if err != nil {
		return false, err
	}
	if err := netlink.LinkSetMaster(cable, bridge); err != nil {
		return false, fmt.Errorf("the link %s cannot be connected: %w", VethMachine(n), err)
	}
	return true, netlink.LinkSetUp(cable)
}

// EnsureRoutes sends the Services' addresses to the first node and the pods'
// to the node they are on.
func EnsureRoutes(nodes int) error {
	via := map[string]int{ServicesCIDR: 1}
	for n := 1; n <= nodes; n++ {
		via[NodePods(n)] = n
	}
	bridge, err := netlink.LinkByName(Bridge)
	if err != nil {
		return err
	}
	for cidr, n := range via {
		route := &netlink.Route{
			LinkIndex: bridge.Attrs().Index, Dst: parse(cidr),
			Gw: net.ParseIP(NodeIP(n)), Src: net.ParseIP(MachineIP),
		}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("the route to %s cannot be made: %w", cidr, err)
		}
	}
	return nil
}

// RemoveAll removes the bridge and every cable; the routes go with them.
func RemoveAll() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("the machine's links cannot be read: %w", err)
	}
	var failures []error
	for _, link := range links {
		if isOurs(link.Attrs().Name) {
			failures = append(failures, remove(link.Attrs().Name))
		}
	}
	return errors.Join(failures...)
}

func isOurs(name string) bool {
	if name == Bridge {
		return true
	}
	var n int
	_, err := fmt.Sscanf(name, "trellis-n%d", &n)
	return err == nil && (name == VethMachine(n) || name == VethNode(n))
}

func remove(name string) error {
	link, err := netlink.LinkByName(name)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("the link %s cannot be removed: %w", name, err)
	}
	return nil
}

func isMissing(err error) bool {
	var missing netlink.LinkNotFoundError
	return errors.As(err, &missing)
}

func parse(cidr string) *net.IPNet {
	_, network, _ := net.ParseCIDR(cidr) // constants of this package
	return network
}

func mask(cidr string) net.IPMask { return parse(cidr).Mask }
