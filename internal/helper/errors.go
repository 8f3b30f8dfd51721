package helper

import "errors"

var errUsage = errors.New("the arguments are not understood")
