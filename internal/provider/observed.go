package provider

import "context"

// Call is a call of a Provider, or of what one can do besides, as metrics name it.
type Call string

const (
	CallCreate Call = "Create"
	CallGet    Call = "Get"
	CallDelete Call = "Delete"
	CallList   Call = "List"

	CallCreateMany  Call = "CreateMany"
	CallAdopt       Call = "Adopt"
	CallPower       Call = "Power"
	CallResize      Call = "Resize"
	CallSetLabels   Call = "SetLabels"
	CallUnsetLabels Call = "UnsetLabels"
)

// Observed returns p with told being called after each of the four calls. What a provider can do besides them is not seen:
// whoever finds that by As tells of it.
func Observed(p Provider, told func(Call, error)) Provider { return observed{next: p, told: told} }

type observed struct {
	next Provider
	told func(Call, error)
}

func (o observed) unwrap() Provider { return o.next }

func (o observed) Create(ctx context.Context, want Machine) (Instance, error) {
	got, err := o.next.Create(ctx, want)
	o.told(CallCreate, err)
	return got, err
}

func (o observed) Get(ctx context.Context, id string) (Instance, error) {
	got, err := o.next.Get(ctx, id)
	o.told(CallGet, err)
	return got, err
}

func (o observed) Delete(ctx context.Context, id string) error {
	err := o.next.Delete(ctx, id)
	o.told(CallDelete, err)
	return err
}

func (o observed) List(ctx context.Context, owner Owner) ([]Instance, error) {
	got, err := o.next.List(ctx, owner)
	o.told(CallList, err)
	return got, err
}
