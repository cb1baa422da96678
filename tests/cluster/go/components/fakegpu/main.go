// Command fakegpu is a kubelet device plugin that offers GPUs which do not exist, so that scheduling,
// running out of and losing GPUs can be tested on a machine without one. A container that is given
// some reads their ids in the environment variable FAKE_VISIBLE_DEVICES.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// pollInterval bounds how late a change of the control file or a restart of the kubelet is seen.
const pollInterval = 100 * time.Millisecond

// plugin answers the kubelet's calls for one resource.
type plugin struct {
	api.UnimplementedDevicePluginServer
	ids           []string
	unhealthyFile string
}

// devices is the state of every device: one is unhealthy when the control file names it. A control
// file that is not there names none.
func (p *plugin) devices() ([]*api.Device, error) {
	text, err := os.ReadFile(p.unhealthyFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("failed to read which devices are unhealthy: %w", err)
	}
	unhealthy := strings.Fields(string(text))
	devices := make([]*api.Device, 0, len(p.ids))
	for _, id := range p.ids {
		health := api.Healthy
		if slices.Contains(unhealthy, id) {
			health = api.Unhealthy
		}
		devices = append(devices, &api.Device{ID: id, Health: health})
	}
	return devices, nil
}

// GetDevicePluginOptions says that no optional call is wanted.
func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

// ListAndWatch sends the devices at once and again after each change of their health.
func (p *plugin) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	var sent []*api.Device
	for {
		devices, err := p.devices()
		if err != nil {
			return err
		}
		if !slices.EqualFunc(devices, sent, func(a, b *api.Device) bool { return a.Health == b.Health }) {
			if err := stream.Send(&api.ListAndWatchResponse{Devices: devices}); err != nil {
				return err
			}
			sent = devices
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-time.After(pollInterval):
		}
	}
}

// Allocate tells each container the ids of its devices.
func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		response.ContainerResponses = append(response.ContainerResponses, &api.ContainerAllocateResponse{
			Envs: map[string]string{"FAKE_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")},
		})
	}
	return response, nil
}

// serveOnce serves the plugin on a socket in folder and registers it, until the kubelet has removed
// the socket, which it does to all plugins when it starts.
func serveOnce(ctx context.Context, p *plugin, resource, folder string) error {
	endpoint := strings.ReplaceAll(resource, "/", "_") + ".sock"
	socket := filepath.Join(folder, endpoint)
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer server.Stop()

	if err := register(ctx, resource, endpoint, filepath.Join(folder, "kubelet.sock")); err != nil {
		return err
	}
	log.Printf("registered %d of %s", len(p.ids), resource)
	for {
		if _, err := os.Stat(socket); err != nil {
			return fmt.Errorf("the kubelet has forgotten the plugin: %w", err)
		}
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// register announces the plugin to the kubelet.
func register(ctx context.Context, resource, endpoint, kubeletSocket string) error {
	connection, err := grpc.NewClient("unix://"+kubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = api.NewRegistrationClient(connection).Register(ctx, &api.RegisterRequest{
		Version: api.Version, Endpoint: endpoint, ResourceName: resource,
	})
	return err
}

func main() {
	folder := flag.String("folder", api.DevicePluginPath, "the kubelet's folder of plugin sockets")
	resource := flag.String("resource", "nvidia.com/gpu", "name of the extended resource")
	count := flag.Int("count", 2, "number of devices; their ids are fake-0, fake-1, ...")
	unhealthyFile := flag.String("unhealthy", "", "file with the ids of unhealthy devices, separated by white space")
	flag.Parse()

	p := &plugin{unhealthyFile: *unhealthyFile}
	for number := range *count {
		p.ids = append(p.ids, fmt.Sprintf("fake-%d", number))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	for ctx.Err() == nil {
		if err := serveOnce(ctx, p, *resource, *folder); err != nil && ctx.Err() == nil {
			log.Printf("starting again: %v", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}
