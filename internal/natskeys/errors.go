package natskeys

import "errors"

// ErrKeysLost says that the accounts are there but their keys are not.
var ErrKeysLost = errors.New("the accounts of NATS exist but their keys are gone: restore the Secret with the keys, or delete the Secret with the accounts to begin anew and lose what NATS stores")

// ErrNoKey says that there is no signing key for a lattice.
var ErrNoKey = errors.New("there is no key for this lattice: add it to the chart's value nats.lattices and upgrade the release")
