-- What mod_cloud_notify_encrypted needs of Prosody 13's util.crypto, for Prosody 0.12.
local ciphers = require "openssl.cipher";

local function aes_128_gcm_encrypt(key, iv, message)
	local cipher = ciphers.new("AES-128-GCM"):encrypt(key, iv);
	return cipher:final(message) .. cipher:getTag(16);
end

return { aes_128_gcm_encrypt = aes_128_gcm_encrypt };
