#!/bin/sh
# An instance's metadata server: answers the one request of a connection, at
# standard input and output, with a file or directory below $1.
end=$(printf '\r')
read -r method path version || exit
while read -r header && [ "$header" != "$end" ]; do :; done

# answer STATUS LENGTH
answer() {
    printf 'HTTP/1.0 %s\r\nContent-Type: text/plain\r\nContent-Length: %s\r\n\r\n' "$1" "$2"
}

file=$1${path%%\?*}
case $method$path in
*..*) answer '400 Bad Request' 0 ;;
GET/*)
    if [ -d "$file" ]; then
        list=$(ls -p "$file")
        answer '200 OK' "${#list}"
        printf %s "$list"
    elif [ -f "$file" ]; then
        answer '200 OK' "$(wc -c < "$file")"
        cat "$file"
    else
        answer '404 Not Found' 0
    fi
    ;;
*) answer '405 Method Not Allowed' 0 ;;
esac
