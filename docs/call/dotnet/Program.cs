// Calls an API every minute with an access token of Hallpass. Duende.AccessTokenManagement 4.0
// keeps the token, renews it before it expires, and fetches another one when the API answers 401.
// NOT RUN: derived from the reference of the library.
using System.Security.Cryptography.X509Certificates;
using Duende.AccessTokenManagement;
using Microsoft.Extensions.Options;

var builder = Host.CreateApplicationBuilder(args);
var mounted = Environment.GetEnvironmentVariable("HALLPASS_DIR") ?? "/etc/oauth2";

// Each file of the mounted Secret is a setting. They are read again when the kubelet replaces them,
// which only polling notices, because it replaces a symbolic link: DOTNET_USE_POLLING_FILE_WATCHER
// is set.
builder.Configuration.AddKeyPerFile(mounted, optional: false, reloadOnChange: true);
var settings = builder.Configuration;

builder.Services.AddDistributedMemoryCache();
builder.Services
    .AddClientCredentialsTokenManagement()
    .AddClient("hallpass", client =>
    {
        client.TokenEndpoint = new Uri(settings["internal_token_url"] ?? settings["token_url"]!);
        client.ClientId = ClientId.Parse(settings["client_id"]!);
        client.ClientSecret = ClientSecret.Parse(settings["client_secret"]!);
        client.ClientCredentialStyle = Duende.IdentityModel.Client.ClientCredentialStyle.AuthorizationHeader;
        client.HttpClientName = "hallpass-token-endpoint";
    });
builder.Services.AddSingleton<IOptionsChangeTokenSource<ClientCredentialsClient>>(
    new ConfigurationChangeTokenSource<ClientCredentialsClient>("hallpass", settings));

// The token endpoint is verified by the CA of the Secret and by no other, or by those of the system
// if the Secret has none.
builder.Services.AddHttpClient("hallpass-token-endpoint").ConfigurePrimaryHttpMessageHandler(() =>
{
    var ca = Path.Combine(mounted, "ca.crt");
    if (!File.Exists(ca))
    {
        return new SocketsHttpHandler();
    }
    var authorities = new X509Certificate2Collection();
    authorities.ImportFromPemFile(ca);
    var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust };
    policy.CustomTrustStore.AddRange(authorities);
    return new SocketsHttpHandler { SslOptions = { CertificateChainPolicy = policy } };
});

builder.Services.AddClientCredentialsHttpClient("api", ClientCredentialsClientName.Parse("hallpass"));
builder.Services.AddHostedService<Caller>();
builder.Build().Run();

class Caller(IHttpClientFactory clients, ILogger<Caller> log) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stopping)
    {
        var url = Environment.GetEnvironmentVariable("API_URL")!;
        var interval = TimeSpan.FromSeconds(double.Parse(Environment.GetEnvironmentVariable("INTERVAL") ?? "60"));
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                using var response = await clients.CreateClient("api").GetAsync(url, stopping);
                log.LogInformation("{Status}", (int)response.StatusCode);
            }
            catch (Exception problem) when (problem is HttpRequestException || problem is TaskCanceledException && !stopping.IsCancellationRequested)
            {
                log.LogWarning("try again later: {Problem}", problem.Message);
            }
            await Task.Delay(interval, stopping);
        }
    }
}
