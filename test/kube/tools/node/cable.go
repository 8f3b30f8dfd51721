package main

import (
	"fmt"
	"log"
	"net"
	"os"

	"github.com/vishvananda/netlink"
)

// keepCable configures the cable when the machine plugs it in, now and each
// time again.
func keepCable(cable Cable) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return err
	}
	// Forwarding is on inside the node only; the machine forwards nothing.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("forwarding cannot be switched on: %w", err)
	}
	updates := make(chan netlink.LinkUpdate, 64)
	options := netlink.LinkSubscribeOptions{ListExisting: true}
	if err := netlink.LinkSubscribeWithOptions(updates, nil, options); err != nil {
		return fmt.Errorf("links cannot be watched: %w", err)
	}
	go func() {
		for update := range updates {
			if update.Link.Attrs().Name != cable.Link {
				continue
			}
			if err := plugIn(cable); err != nil {
				log.Printf("the cable cannot be configured: %v", err)
			}
		}
		log.Fatal("links are no longer watched")
	}()
	return nil
}

func plugIn(cable Cable) error {
	link, err := netlink.LinkByName(cable.Link)
	if err != nil {
		return nil // an old event: renamed or gone by now
	}
	if err := netlink.LinkSetName(link, "eth0"); err != nil {
		return err
	}
	address, err := netlink.ParseAddr(cable.Address)
	if err != nil {
		return err
	}
	if err := netlink.AddrReplace(link, address); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for destination, gateway := range cable.Routes {
		_, network, err := net.ParseCIDR(destination)
		if err != nil {
			return err
		}
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: network, Gw: net.ParseIP(gateway)}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("no route to %s: %w", destination, err)
		}
	}
	log.Printf("eth0 is up with %s", cable.Address)
	return nil
}
