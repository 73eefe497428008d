package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// smallestVolume is what ext4 needs for its own structures and a little data.
const smallestVolume = 8 << 20

// localVolumes answers the provision controller with `local` volumes on disks.
type localVolumes struct {
	disks *disks
}

// Provision makes the disk and describes it, bound to the node that the scheduler chose.
func (l *localVolumes) Provision(_ context.Context, options controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	refuse := func(why string) (*core.PersistentVolume, controller.ProvisioningState, error) {
		return nil, controller.ProvisioningFinished, errors.New(why)
	}
	claim := options.PVC.Spec
	if options.SelectedNodeName == "" {
		return refuse("no node selected: the storage class must use volumeBindingMode WaitForFirstConsumer")
	}
	if claim.VolumeMode != nil && *claim.VolumeMode == core.PersistentVolumeBlock {
		return refuse("only file system volumes are made here")
	}
	for _, mode := range claim.AccessModes {
		if mode != core.ReadWriteOnce && mode != core.ReadWriteOncePod {
			return refuse(fmt.Sprintf("access mode %s: a local volume has one node", mode))
		}
	}
	size := claim.Resources.Requests[core.ResourceStorage]
	bytes := max(size.Value(), smallestVolume)
	path, err := l.disks.create(options.PVName, bytes)
	if err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return describe(options, path, bytes), controller.ProvisioningFinished, nil
}

func describe(options controller.ProvisionOptions, path string, bytes int64) *core.PersistentVolume {
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: options.PVName},
		Spec: core.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity:                      core.ResourceList{core.ResourceStorage: *resource.NewQuantity(bytes, resource.BinarySI)},
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: path}},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
				MatchExpressions: []core.NodeSelectorRequirement{{
					Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{options.SelectedNodeName},
				}},
			}}}},
		},
	}
}

// Delete removes the disk of a released volume.
func (l *localVolumes) Delete(_ context.Context, volume *core.PersistentVolume) error {
	return l.disks.remove(volume.Name)
}

// growClaims looks for claims that ask for more than they have, and grows their volumes online.
// A short poll is enough for a test cluster, and it needs no state.
func growClaims(ctx context.Context, client kubernetes.Interface, disks *disks) {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typed.EventSinkImpl{Interface: client.CoreV1().Events(meta.NamespaceAll)})
	events := broadcaster.NewRecorder(scheme.Scheme, core.EventSource{Component: provisionerName})
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(growInterval):
		}
		claims, err := client.CoreV1().PersistentVolumeClaims(meta.NamespaceAll).List(ctx, meta.ListOptions{})
		if err != nil {
			klog.ErrorS(err, "list claims")
			continue
		}
		for i := range claims.Items {
			if err := growClaim(ctx, client, disks, &claims.Items[i]); err != nil {
				klog.ErrorS(err, "grow claim", "claim", klog.KObj(&claims.Items[i]))
				events.Event(&claims.Items[i], core.EventTypeWarning, "VolumeResizeFailed", err.Error())
			}
		}
	}
}

func growClaim(ctx context.Context, client kubernetes.Interface, disks *disks, claim *core.PersistentVolumeClaim) error {
	wanted := claim.Spec.Resources.Requests[core.ResourceStorage]
	has := claim.Status.Capacity[core.ResourceStorage]
	if claim.Status.Phase != core.ClaimBound || wanted.Cmp(has) <= 0 {
		return nil
	}
	volume, err := client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, meta.GetOptions{})
	if err != nil || volume.Annotations["pv.kubernetes.io/provisioned-by"] != provisionerName {
		return err
	}
	if err := disks.grow(volume.Name, wanted.Value()); err != nil {
		return err
	}
	volume.Spec.Capacity[core.ResourceStorage] = wanted
	if _, err := client.CoreV1().PersistentVolumes().Update(ctx, volume, meta.UpdateOptions{}); err != nil {
		return err
	}
	claim.Status.Capacity[core.ResourceStorage] = wanted
	claim.Status.Conditions = nil
	_, err = client.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(ctx, claim, meta.UpdateOptions{})
	return err
}
