// Load for etcd, as `geode bench` makes it for Geode: clients that ask one after the other over one connection, for a while.
// Prints what `geode bench --format json` prints: count, rate and latencies, and the longest time without an acknowledged write.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

type samples struct {
	times        []time.Duration
	acknowledged []time.Duration
	failed       int
}

func main() {
	endpoints := flag.String("endpoints", "", "client addresses, with commas between them")
	directory := flag.String("tls", "", "folder with ca.crt, tls.crt and tls.key")
	clients := flag.Int("clients", 1, "requests in flight")
	duration := flag.Duration("duration", 5*time.Second, "how long")
	read := flag.Bool("read", false, "linearizable reads of one key instead of writes")
	size := flag.Int("value-bytes", 256, "size of a value")
	timeout := flag.Duration("timeout", 5*time.Second, "how long a request may take")
	leader := flag.Bool("leader", false, "print which of the endpoints leads, and do nothing else")
	flag.Parse()
	if *leader {
		if err := printLeader(strings.Split(*endpoints, ","), *directory); err != nil {
			fmt.Fprintln(os.Stderr, "etcdload:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(strings.Split(*endpoints, ","), *directory, *clients, *duration, *timeout, *read, *size); err != nil {
		fmt.Fprintln(os.Stderr, "etcdload:", err)
		os.Exit(1)
	}
}

func connect(endpoints []string, directory string) (*clientv3.Client, error) {
	config, err := tlsConfig(directory)
	if err != nil {
		return nil, err
	}
	return clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: config, DialTimeout: 5 * time.Second})
}

func printLeader(endpoints []string, directory string) error {
	client, err := connect(endpoints, directory)
	if err != nil {
		return err
	}
	defer client.Close()
	for number, endpoint := range endpoints {
		context, cancel := context.WithTimeout(context.Background(), time.Second)
		status, err := client.Status(context, endpoint)
		cancel()
		if err == nil && status.Leader == status.Header.MemberId {
			fmt.Println(number)
			return nil
		}
	}
	return fmt.Errorf("none of %v leads", endpoints)
}

func run(endpoints []string, directory string, clients int, duration, timeout time.Duration, read bool, size int) error {
	client, err := connect(endpoints, directory)
	if err != nil {
		return err
	}
	defer client.Close()
	value := make([]byte, size)
	if _, err := rand.Read(value); err != nil {
		return err
	}
	if _, err := client.Put(context.Background(), "read", string(value)); err != nil {
		return fmt.Errorf("the first write: %w", err)
	}
	start := time.Now()
	all := make([]samples, clients)
	var workers sync.WaitGroup
	for worker := range all {
		workers.Go(func() {
			for turn := 0; time.Since(start) < duration; turn++ {
				key := fmt.Sprintf("%d/%d/%d", start.UnixNano(), worker, turn)
				all[worker].ask(client, start, timeout, read, key, string(value))
			}
		})
	}
	workers.Wait()
	return report(all, time.Since(start), read)
}

func (s *samples) ask(client *clientv3.Client, start time.Time, timeout time.Duration, read bool, key, value string) {
	context, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	began := time.Now()
	var err error
	if read {
		_, err = client.Get(context, "read")
	} else {
		_, err = client.Put(context, key, value)
	}
	if err != nil {
		s.failed++
		return
	}
	s.times = append(s.times, time.Since(began))
	s.acknowledged = append(s.acknowledged, time.Since(start))
}

func report(all []samples, took time.Duration, read bool) error {
	var sum samples
	for _, one := range all {
		sum.times = append(sum.times, one.times...)
		sum.acknowledged = append(sum.acknowledged, one.acknowledged...)
		sum.failed += one.failed
	}
	slices.Sort(sum.times)
	slices.Sort(sum.acknowledged)
	// Silence up to the end counts too.
	sum.acknowledged = append(sum.acknowledged, took)
	gap := time.Duration(0)
	for at := 1; at < len(sum.acknowledged); at++ {
		gap = max(gap, sum.acknowledged[at]-sum.acknowledged[at-1])
	}
	figures := map[string]any{"count": len(sum.times), "per_second": float64(len(sum.times)) / took.Seconds()}
	for name, share := range map[string]float64{"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "max_ms": 1} {
		if len(sum.times) > 0 {
			rank := int(math.Ceil(float64(len(sum.times)) * share))
			figures[name] = millis(sum.times[max(rank, 1)-1])
		}
	}
	operation := "write"
	if read {
		operation = "read"
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"seconds": took.Seconds(), operation: figures, "failed": sum.failed, "longest_write_gap_ms": millis(gap),
	})
}

func millis(duration time.Duration) float64 {
	return float64(duration.Microseconds()) / 1000
}

func tlsConfig(directory string) (*tls.Config, error) {
	authority, err := os.ReadFile(directory + "/ca.crt")
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s/ca.crt holds no certificate", directory)
	}
	own, err := tls.LoadX509KeyPair(directory+"/tls.crt", directory+"/tls.key")
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS13}, nil
}
