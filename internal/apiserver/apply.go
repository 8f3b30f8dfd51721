package apiserver

import (
	"context"
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
)

// understood is a change whose mistakes are answered as the client's. k8s.io/apiserver answers an apply patch that does
// not fit the schema (an unknown field, a list for a map) with 500, as if the server were broken.
type understood struct {
	rest.UpdatedObjectInfo
}

// UpdatedObject implements rest.UpdatedObjectInfo.
func (u understood) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	obj, err := u.UpdatedObjectInfo.UpdatedObject(ctx, old)
	if err != nil && isClientsMistake(err) {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return obj, err
}

// misfits begin the errors of k8s.io/apimachinery's field manager that speak of the object sent, not of the stored one.
var misfits = []string{
	"failed to create typed patch object", "failed to convert new object", "failed to convert new typed object",
	"failed to convert to unversioned",
}

func isClientsMistake(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return false // it says itself what it is
	}
	for _, begin := range misfits {
		if strings.HasPrefix(err.Error(), begin) {
			return true
		}
	}
	return false
}
