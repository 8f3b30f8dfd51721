// Package sim is a lattice of simulated hosts: they speak the control interface as wasmCloud 1.9.2 does, quirks included,
// and run nothing. It does no I/O and knows no NATS: a message goes in with Handle, and replies, events and writes to the
// buckets come out. Package wire puts it on a NATS server, and Client is a control client without one.
//
// Time is package time's, so that in a testing/synctest bubble a lattice runs in virtual time:
//
//	synctest.Test(t, func(t *testing.T) {
//		l, err := sim.New(sim.Config{Seed: 7, CommandDelay: sim.Fixed(5 * time.Millisecond)})
//		...
//		defer l.Close() // the last timer must not outlive the bubble
//		id := l.Start(sim.Host{Labels: map[string]string{"zone": "a"}})
//		c := sim.NewClient(l, sim.ClientOptions{})
//		notice, err := c.ScaleComponent(ctx, lattice.ScaleComponent{HostID: id, ...})
//		time.Sleep(time.Second)
//		synctest.Wait()
//		inventory, ok := l.Inventory(id)
//	})
//
// Everything random comes from the seed and from what a message says, not from when its goroutine ran: with a
// CommandDelay above zero, commands that are sent in the same instant of virtual time are handled in an order that depends
// on their content alone. Two runs with the same seed and the same commands give the same events.
//
// Functions that are called back (replies, subscribers, OnCommand) run inside the lattice: they must neither wait nor call
// it.
package sim
