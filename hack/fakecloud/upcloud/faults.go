package upcloud

import "github.com/keelway/keelway/hack/fakecloud/faults"

// Names of operations, as they stand in the log and in orders.
const (
	opAccount        = "GetAccount"
	opAccountDetails = "GetAccountDetails"
	opZones          = "ListZones"
	opPlans          = "ListPlans"
	opSizes          = "ListServerSizes"
	opPrices         = "ListPrices"
	opServers        = "ListServers"
	opServer         = "GetServer"
	opCreate         = "CreateServer"
	opModify         = "ModifyServer"
	opStart          = "StartServer"
	opStop           = "StopServer"
	opDelete         = "DeleteServer"
	opStorages       = "ListStorages"
	opStorage        = "GetStorage"
	opModifyStorage  = "ModifyStorage"
	opResizeStorage  = "ResizeStorageFilesystem"
	opDeleteStorage  = "DeleteStorage"
	opRules          = "GetFirewallRules"
	opSetRules       = "CreateFirewallRules"
	opNetworks       = "ListNetworks"
	opCreateNetwork  = "CreateNetwork"
	opDeleteNetwork  = "DeleteNetwork"
	opCreateGroup    = "CreateServerGroup"
	opDeleteGroup    = "DeleteServerGroup"
)

var (
	reads  = []string{opAccount, opAccountDetails, opZones, opPlans, opSizes, opPrices, opServers, opServer, opStorages, opStorage, opRules}
	writes = []string{opCreate, opModify, opStart, opStop, opDelete, opModifyStorage, opResizeStorage, opDeleteStorage, opSetRules, opCreateNetwork, opDeleteNetwork, opCreateGroup, opDeleteGroup}
)

// Names of faults.
const (
	RequestLost      = "RequestLost"
	ReplyLost        = "ReplyLost"
	ReplyCut         = "ReplyCut"
	BadGateway       = "BadGateway"
	BadGatewayAfter  = "BadGatewayAfter"
	ServerError      = "ServerError"
	Problem          = "Problem"
	TooManyRequests  = "TooManyRequests"
	Unauthorized     = "Unauthorized"
	Forbidden        = "Forbidden"
	EchoesSecrets    = "EchoesSecrets"
	NoCredits        = "NoCredits"
	LimitReached     = "LimitReached"
	CreatingLimit    = "CreatingLimit"
	NoCapacity       = "NoCapacity"
	Busy             = "Busy"
	Maintenance      = "Maintenance"
	ListedNotFound   = "ListedNotFound"
	DeletedForbidden = "DeletedForbidden"
	DeletedListed    = "DeletedListed"
	Hidden           = "Hidden"
	StoragesLeft     = "StoragesLeft"
	ResizeBackup     = "ResizeBackup"
	PricesDropped    = "PricesDropped"
	BootError        = "BootError"
	Vanishes         = "Vanishes"
)

// Kinds are the faults that can be ordered.
var Kinds = []faults.Kind{
	{Name: RequestLost, About: "the connection is dropped before anything is done"},
	{Name: ReplyLost, About: "it is done, and the connection is dropped before the reply", Calls: writes},
	{Name: ReplyCut, About: "it is done, and the reply ends in its middle"},
	{Name: BadGateway, About: "502 with a page of HTML instead of an answer to a read", Calls: reads},
	{Name: BadGatewayAfter, About: "it is done, and the reply is 502 with a page of HTML", Calls: writes},
	{Name: ServerError, About: "nothing is done; status \"amount\"", Takes: []string{"amount"}},
	{Name: Problem, About: "nothing is done; status \"amount\" as application/problem+json with a correlation id", Takes: []string{"amount"}},
	{Name: TooManyRequests, About: "429 with Retry-After"},
	{Name: Unauthorized, About: "401, though the credentials are right"},
	{Name: Forbidden, About: "403 for want of a permission"},
	{Name: EchoesSecrets, About: "400 whose text repeats the Authorization header"},
	{Name: NoCredits, About: "402", Calls: []string{opCreate, opStart, opModify}},
	{Name: LimitReached, About: "the account's quota of cores", Calls: []string{opCreate, opModify}},
	{Name: CreatingLimit, About: "too many servers are in the making at once", Calls: []string{opCreate}},
	{Name: NoCapacity, About: "the zone has no room", Calls: []string{opCreate, opStart, opModify}},
	{Name: Busy, About: "409, though nothing is under way", Calls: writes},
	{Name: Maintenance, About: "409, and the server is in maintenance for a time", Calls: []string{opModify, opStart, opStop, opDelete}, Takes: []string{"for"}},
	{Name: ListedNotFound, About: "404 for a server that the list shows", Calls: []string{opServer}},
	{Name: DeletedForbidden, About: "403 from then on, instead of 404, for the server that is deleted", Calls: []string{opDelete}},
	{Name: DeletedListed, About: "the deleted server stays in the list for a time", Calls: []string{opDelete}, Takes: []string{"for"}},
	{Name: Hidden, About: "the list does not show the new server for a time", Calls: []string{opCreate}, Takes: []string{"for"}},
	{Name: StoragesLeft, About: "the server is deleted, and its storages stay although they were to go", Calls: []string{opDelete}},
	{Name: ResizeBackup, About: "a change of the plan makes a backup of each storage, which is billed", Calls: []string{opModify}},
	{Name: PricesDropped, About: "the list of prices begins and the connection is dropped", Calls: []string{opPrices}},
	{Name: BootError, About: "the new server is in state error for a time before it runs", Calls: []string{opCreate}, Takes: []string{"for"}},
	{Name: Vanishes, About: "the server ends by another hand, and its storages with it", Calls: []string{opServer, opServers}},
}
