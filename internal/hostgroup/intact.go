package hostgroup

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// intact says what the group needs and the additions took away, as directives of a merge can.
func intact(before, after *corev1.PodSpec) error {
	for _, v := range before.Volumes {
		if !slices.ContainsFunc(after.Volumes, func(o corev1.Volume) bool { return o.Name == v.Name }) {
			return fmt.Errorf("podTemplateAdditions takes away the volume %s, which Trellis needs: remove the directive", v.Name)
		}
	}
	for _, c := range before.InitContainers {
		if err := intactContainer(c, after.InitContainers); err != nil {
			return err
		}
	}
	for _, c := range before.Containers {
		if err := intactContainer(c, after.Containers); err != nil {
			return err
		}
	}
	return nil
}

func intactContainer(ours corev1.Container, list []corev1.Container) error {
	i := slices.IndexFunc(list, func(c corev1.Container) bool { return c.Name == ours.Name })
	if i < 0 {
		return fmt.Errorf("the additions take away the container %s, which Trellis needs: remove the directive", ours.Name)
	}
	for _, m := range ours.VolumeMounts {
		if !slices.ContainsFunc(list[i].VolumeMounts, func(o corev1.VolumeMount) bool { return o.MountPath == m.MountPath }) {
			return fmt.Errorf("the additions to container %s take away the mount %s, which Trellis needs: remove the directive", ours.Name, m.MountPath)
		}
	}
	for _, v := range ours.Env {
		protected := slices.Contains(protectedEnv, v.Name) || v.ValueFrom != nil && v.ValueFrom.FieldRef != nil
		if protected && !slices.ContainsFunc(list[i].Env, func(o corev1.EnvVar) bool { return o.Name == v.Name }) {
			return fmt.Errorf("the additions to container %s take away the variable %s, which Trellis needs: remove the directive", ours.Name, v.Name)
		}
	}
	return nil
}
