// cAdvisor's own manager and collector behind one page: argument 1 is the address to listen on, argument 2 the engine's address. Its command is a module of
// its own that no registry has; this stands in its place, and computes nothing.
package main

import (
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/google/cadvisor/cache/memory"
	"github.com/google/cadvisor/container"
	_ "github.com/google/cadvisor/container/docker/install"
	v2 "github.com/google/cadvisor/info/v2"
	"github.com/google/cadvisor/manager"
	"github.com/google/cadvisor/metrics"
	"github.com/google/cadvisor/utils/sysfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/utils/clock"
)

func main() {
	listen, docker := os.Args[1], os.Args[2]
	os.Args = []string{os.Args[0], "-docker", docker}
	flag.Parse()
	interval, dynamic := time.Second, false
	included := container.MetricSet{
		container.CpuUsageMetrics: {}, container.ProcessSchedulerMetrics: {}, container.MemoryUsageMetrics: {}, container.CpuLoadMetrics: {},
		container.DiskIOMetrics: {}, container.NetworkUsageMetrics: {}, container.AppMetrics: {}, container.ProcessMetrics: {},
	}
	m, err := manager.New(memory.New(2*time.Minute, nil), sysfs.NewRealSysFs(), manager.HousekeepingConfig{Interval: &interval, AllowDynamic: &dynamic}, included, http.DefaultClient, []string{"/docker"}, nil, "", 0)
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Start(); err != nil {
		log.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewPrometheusCollector(m, metrics.DefaultContainerLabels, included, clock.RealClock{}, v2.RequestOptions{IdType: v2.TypeName, Count: 1, Recursive: true}))
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	log.Fatal(http.ListenAndServe(listen, nil))
}
