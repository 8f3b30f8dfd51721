package hostgroup

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/conditions"
)

// Reconciler keeps host groups as their specs say.
type Reconciler struct {
	options Options
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// New returns a reconciler.
func New(options Options) *Reconciler {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{options: options}
}

// readyRule is what Ready means for a host group.
func readyRule() conditions.Rule {
	return conditions.Rule{
		Order: []string{v1alpha1.ConditionValid, v1alpha1.ConditionCredentials, v1alpha1.ConditionWorkload, v1alpha1.ConditionHosts},
		Terminal: func(c metav1.Condition) bool {
			return terminal(c.Reason)
		},
		ReadyMessage: "Every host runs and shows up in its lattice.",
	}
}

// Reconcile brings one host group closer to its spec. Only here do problems become conditions and pauses.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var group v1alpha1.WasmCloudHostConfig
	if err := r.options.Client.Get(ctx, request.NamespacedName, &group); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if err := r.dropFinalizer(ctx, &group); err != nil {
		return reconcile.Result{}, err
	}
	if !group.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil // what belongs to the group goes by garbage collection
	}
	before := group.Status.DeepCopy()
	retry, err := r.advance(ctx, &group)
	if err != nil {
		return reconcile.Result{}, err
	}
	later, err := r.observe(ctx, &group)
	if err != nil {
		return reconcile.Result{}, err
	}
	if err := r.record(ctx, &group, before); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: soonest(retry, later)}, nil
}

// dropFinalizer removes the finalizer that wasmCloud's operator set: nobody would ever release it.
func (r *Reconciler) dropFinalizer(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) error {
	base := group.DeepCopy()
	if !controllerutil.RemoveFinalizer(group, v1alpha1.FieldManager) {
		return nil
	}
	patch := client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
	if err := r.options.Client.Patch(ctx, group, patch); err != nil {
		return fmt.Errorf("removing the finalizer of wasmCloud's operator: %w", client.IgnoreNotFound(err))
	}
	return nil
}

// advance applies the objects of the group and sets the conditions Valid and Credentials.
func (r *Reconciler) advance(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) (time.Duration, error) {
	message := "The spec can be carried out."
	retry, err := r.carryOut(ctx, group, &message)
	p := asProblem(err)
	if err != nil && p == nil {
		return 0, err
	}
	r.set(group, v1alpha1.ConditionValid, metav1.ConditionTrue, v1alpha1.ReasonValid, message)
	if p == nil {
		reason, message := r.loginKind(group)
		r.set(group, v1alpha1.ConditionCredentials, metav1.ConditionTrue, reason, message)
		return retry, nil
	}
	if p.condition == v1alpha1.ConditionValid {
		r.set(group, v1alpha1.ConditionCredentials, metav1.ConditionUnknown, conditions.ReasonPending, "Looked at once the spec is valid.")
	}
	r.set(group, p.condition, metav1.ConditionFalse, p.reason, p.message)
	return p.retry, nil
}

// loginKind says whose the credentials of a group are, and so who decides about its rights in NATS.
func (r *Reconciler) loginKind(group *v1alpha1.WasmCloudHostConfig) (reason, message string) {
	choice, p := chooseHub(group, r.options.Hub)
	switch {
	case group.Spec.SecretName != "":
		return v1alpha1.ReasonOwnCredentials, fmt.Sprintf("The hosts log in with Secret %s of spec.secretName. "+
			"What they may do in NATS is decided by whoever made it, not by Trellis; spec.nats.publish, subscribe and buckets have no effect.", group.Spec.SecretName)
	case p == nil && choice.issue:
		return v1alpha1.ReasonCredentialsReady, "The hosts have their credentials, which let them do what hosts of this lattice need and what the spec adds."
	}
	return v1alpha1.ReasonNoCredentials, "The hosts log in without credentials: name a Secret in spec.secretName if the NATS hub wants some."
}

// carryOut makes the objects of the group as they should be.
func (r *Reconciler) carryOut(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, message *string) (time.Duration, error) {
	if p := validate(group); p != nil {
		return 0, p
	}
	if foreign, err := r.lookAtForeign(ctx, group); err != nil || foreign {
		return 0, err
	}
	in, err := r.gather(ctx, group)
	if err != nil {
		return 0, err
	}
	objects, err := Build(group, in)
	if err != nil {
		return 0, invalid(v1alpha1.ReasonInvalidTemplate, "spec.schedulingOptions.%v.", err)
	}
	if ignored := ignoredFields(group.Spec.SchedulingOptions); ignored != "" {
		*message = "The spec can be carried out. Ignored: " + ignored + "."
	}
	for _, object := range []client.Object{objects.ServiceAccount, objects.ConfigMap} {
		if err := r.apply(ctx, group, object); err != nil {
			return 0, err
		}
	}
	if err := r.applyWorkload(ctx, group, objects); err != nil {
		return 0, err
	}
	return inputsInterval(group), nil
}

// inputsInterval is how often the user's Secrets and ConfigMaps are read again, if there are any.
func inputsInterval(group *v1alpha1.WasmCloudHostConfig) time.Duration {
	s := &group.Spec
	if s.SecretName != "" || s.NATS != nil && s.NATS.TLS != nil || s.RegistryCredentialsSecret != "" || s.Certificates != nil && len(s.Certificates.Authorities) > 0 {
		return checkInputs
	}
	return 0
}

func (r *Reconciler) set(group *v1alpha1.WasmCloudHostConfig, condition string, status metav1.ConditionStatus, reason, message string) {
	conditions.Set(&group.Status.Conditions, metav1.Condition{Type: condition, Status: status, Reason: reason,
		Message: message, ObservedGeneration: group.Generation}, r.options.Now())
}

// record summarises and writes the status if it changed, then tells of transitions.
func (r *Reconciler) record(ctx context.Context, group *v1alpha1.WasmCloudHostConfig, before *v1alpha1.WasmCloudHostConfigStatus) error {
	group.Status.ObservedGeneration = group.Generation
	readyRule().Summarise(&group.Status.Conditions, group.Generation, r.options.Now())
	if equality.Semantic.DeepEqual(before, &group.Status) {
		return nil
	}
	base := group.DeepCopy()
	base.Status = *before
	if err := r.options.Client.Status().Patch(ctx, group, client.MergeFrom(base)); err != nil {
		if apierrors.IsNotFound(err) {
			return nil // deleted meanwhile
		}
		return fmt.Errorf("writing the status: %w", err)
	}
	r.tell(group, before)
	return nil
}

// soonest returns the shorter of two pauses, where zero means none.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
