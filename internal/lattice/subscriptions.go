package lattice

// Subscription is what a host listens to: a subject, and a queue group where only one host of the lattice answers.
type Subscription struct {
	Subject string
	// Queue is empty where every host that listens answers.
	Queue string
}

// HostSubscriptions are the subscriptions of one host. Hosts that take no part in auctions leave those out.
func (s Subjects) HostSubscriptions(host string, componentAuction, providerAuction bool) ([]Subscription, error) {
	if err := ValidateHostID(host); err != nil {
		return nil, err
	}
	subs := []Subscription{
		{Subject: s.HostPing()},
		{Subject: s.base + ".host.*." + host},
		{Subject: s.base + ".label.*." + host},
		{Subject: s.base + ".component.*." + host},
		{Subject: s.base + ".provider.*." + host},
		{Subject: s.RegistryPut()},
		{Subject: s.base + ".link.*", Queue: s.base + ".link"},
		{Subject: s.base + ".config.>", Queue: s.base + ".config"},
		{Subject: s.ClaimsGet(), Queue: s.base + ".claims"},
	}
	if componentAuction {
		subs = append(subs, Subscription{Subject: s.ComponentAuction()})
	}
	if providerAuction {
		subs = append(subs, Subscription{Subject: s.ProviderAuction()})
	}
	return subs, nil
}
