// Command provisioner gives every claim of the test cluster's storage class a volume of its exact size.
//
// A volume is a sparse image file with a file system, loop-mounted below the volume directory. All nodes are network
// namespaces of one machine and share its mounts, so a `local` PersistentVolume bound to the selected node serves the pod,
// honours fsGroup, and is full when its size says so.
package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// provisionerName is what the storage class names; manifests/storage.yaml holds the other copy.
const provisionerName = "disk.geodedb.com"

const (
	firstRetryDelay = 500 * time.Millisecond
	lastRetryDelay  = 10 * time.Second
	growInterval    = 2 * time.Second
	clientQPS       = 50
	clientBurst     = 100
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig file of the cluster")
	directory := flag.String("directory", "", "directory that holds the volumes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *kubeconfig, *directory); err != nil {
		klog.ErrorS(err, "provisioner failed")
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, directory string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = clientQPS, clientBurst
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	disks := &disks{directory: directory}
	go growClaims(ctx, client, disks)
	controller.NewProvisionController(ctx, client, provisionerName, &localVolumes{disks: disks},
		controller.LeaderElection(false),
		controller.MetricsPort(0),
		controller.RateLimiter(workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetryDelay, lastRetryDelay)),
	).Run(ctx)
	return nil
}
