package helper

import "errors"

var (
	errUsage = errors.New("the arguments are not understood")
	// errNobody: the question went out, and nobody is there to answer it.
	errNobody = errors.New("no operator looks after the lattice")
)
