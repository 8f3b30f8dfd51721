package apply

import "fmt"

// NotOwnedError says that an object of the wanted name belongs to someone else.
type NotOwnedError struct{ Kind, Name string }

// Error returns a sentence.
func (e *NotOwnedError) Error() string {
	return fmt.Sprintf("%s %s exists and belongs to someone else", e.Kind, e.Name)
}

// RefusedError says that Kubernetes does not take the object: trying again as it is does not help.
type RefusedError struct {
	Kind, Name string
	Err        error
}

// Error returns a sentence.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("Kubernetes refused %s %s: %v", e.Kind, e.Name, e.Err)
}

// Unwrap returns the error of the API.
func (e *RefusedError) Unwrap() error { return e.Err }
