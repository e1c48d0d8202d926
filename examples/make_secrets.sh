#!/bin/sh
# Makes the secret files of docker-compose.yml, from the system's random numbers. Needs nothing but a shell and coreutils.
#
#   sh examples/make_secrets.sh [FOLDER]      # secrets/ by default
#
# A file that exists stays as it is: run it as often as you like. The folder is closed to others; the files in it are
# open, because inside the containers they are read by users who are neither root nor you.
set -eu
folder=${1:-secrets}
mkdir -p "$folder"
chmod 700 "$folder"
umask 022

random() { # COUNT bytes in urlsafe base64 without its padding
    head -c "$1" /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'
}

make() { # FILE VALUE: whole or not at all
    if [ -s "$folder/$1" ]; then
        echo "kept  $folder/$1"
    else
        printf '%s' "$2" > "$folder/$1.new"
        mv "$folder/$1.new" "$folder/$1"
        echo "made  $folder/$1"
    fi
}

make secret_key "$(random 48)"
make encryption_keys "$(random 32)"
make postgres_password "$(random 24)"
make database_url "postgres://userpool:$(cat "$folder/postgres_password")@postgres:5432/userpool"
