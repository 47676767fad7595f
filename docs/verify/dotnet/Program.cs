// A service that accepts requests with an access token of Hallpass that has the scope "read".
// Microsoft.AspNetCore.Authentication.JwtBearer 10.0. NOT RUN: derived from the reference of the
// library.
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Authentication.JwtBearer;

var builder = WebApplication.CreateBuilder(args);
var caFile = Environment.GetEnvironmentVariable("CA_FILE")!;

builder.Services.AddAuthentication(JwtBearerDefaults.AuthenticationScheme).AddJwtBearer(options =>
{
    options.Authority = Environment.GetEnvironmentVariable("ISSUER");
    options.Audience = Environment.GetEnvironmentVariable("AUDIENCE");
    options.MapInboundClaims = false; // "scope" and "client_id" keep their names
    options.TokenValidationParameters.ValidTypes = ["at+jwt"]; // without it every typ is accepted
    options.TokenValidationParameters.ValidAlgorithms = ["ES256", "RS256"];
    // the default is five minutes
    options.TokenValidationParameters.ClockSkew = TimeSpan.FromSeconds(30);

    // The keys are fetched from a server that the CA of Hallpass verifies.
    var authorities = new X509Certificate2Collection();
    authorities.ImportFromPemFile(caFile);
    var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust };
    policy.CustomTrustStore.AddRange(authorities);
    options.BackchannelHttpHandler = new SocketsHttpHandler { SslOptions = { CertificateChainPolicy = policy } };
});
builder.Services.AddAuthorization(options => options.AddPolicy("read", policy => policy
    .RequireClaim("client_id")
    .RequireAssertion(context => context.User.FindFirst("scope")?.Value.Split(' ').Contains("read") ?? false)));

var app = builder.Build();
app.UseAuthentication();
app.UseAuthorization();
app.MapGet("/orders", () => "[]").RequireAuthorization("read");
app.Run();
